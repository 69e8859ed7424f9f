#!/usr/bin/env node
/**
 * An example receiver of webhooks: it checks each signature and prints each event.
 *
 *   node examples/webhook.js --secret whsec_... --port 8000
 *
 * docs/webhooks.md says how to create the webhook. Ctrl-C ends it.
 */
"use strict";

const { createServer } = require("node:http");
const { parseArgs } = require("node:util");
const { Webhook } = require("standardwebhooks");

const options = {
  secret: { type: "string" }, // of the response that created the webhook
  port: { type: "string", default: "8000" },
  help: { type: "boolean", default: false },
};

/** Read a request to its end. The signature is of these exact bytes, so they are not parsed yet. */
async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Print an event once; a message that was sent again has the same id. */
function printOnce(message, seen) {
  if (seen.has(message.id)) return;
  seen.add(message.id);
  console.log(`${message.seq ?? "test"} ${message.event} ${JSON.stringify(message.data)}`);
}

function main() {
  const { values } = parseArgs({ options });
  if (values.help || !values.secret) {
    console.error("usage: node examples/webhook.js --secret whsec_... [--port 8000]");
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const webhook = new Webhook(values.secret);
  const seen = new Set();
  const server = createServer(async (request, response) => {
    try {
      printOnce(webhook.verify(await readBody(request), request.headers), seen);
      response.writeHead(204).end();
    } catch (error) {
      console.error(`refused: ${error.message}`);
      response.writeHead(400).end();
    }
  });
  server.listen(Number(values.port), "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}/`);
  });
}

main();
