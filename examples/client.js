#!/usr/bin/env node
/**
 * An example client of the paper trading backend.
 *
 *   node examples/client.js                        a new user: live prices and the user's events
 *   node examples/client.js --trade                the same, plus a trade that closes soon
 *   node examples/client.js --order                the same, plus a limit order with a trailing stop
 *   node examples/client.js --email you@example.com --password secret --symbols TCS,INFY
 *
 * `options` below lists every option. Ctrl-C ends it.
 */
"use strict";

const { randomBytes } = require("node:crypto");
const { parseArgs } = require("node:util");

const options = {
  url: { type: "string", default: "http://127.0.0.1:5000" },
  email: { type: "string" }, // with --password: sign in instead of registering
  password: { type: "string" },
  symbols: { type: "string", default: "RELIANCE,TCS" }, // NIFTY and SENSEX are always sent
  trade: { type: "boolean", default: false }, // open a small NIFTY trade
  order: { type: "boolean", default: false }, // place a NIFTY limit order with a trailing stop
  "exit-after": { type: "string" }, // end after this many trade_update events
  help: { type: "boolean", default: false },
};

/** A failure the user can fix: printed without a stack trace. */
class Failure extends Error {}

// ---------------------------------------------------------------------------------------- REST

/** Call a route; return its JSON, or throw the error sentence of the server. */
async function call(api, method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (api.token) headers.Authorization = `Bearer ${api.token}`;
  let response;
  try {
    response = await fetch(api.url + path, { method, headers, body: JSON.stringify(body) });
  } catch (error) {
    const reason = error.cause?.code ?? error.message;
    throw new Failure(`Cannot reach ${api.url} (${reason}). Is the server running? Try: make run`);
  }
  const answer = await response.json().catch(() => {
    throw new Failure(`${api.url} answered ${response.status}, but not with JSON as this API does.`);
  });
  if (response.ok) return answer;
  // Every error has a sentence for a person, a code and details for a program.
  const failure = new Failure(answer.error ?? `${method} ${path} answered ${response.status}`);
  throw Object.assign(failure, { code: answer.code, details: answer.details });
}

/** Register a new user; return its credentials. */
async function register(api) {
  const unique = randomBytes(4).toString("hex");
  const credentials = { email: `node-${unique}@example.com`, password: unique };
  await call(api, "POST", "/auth/register", {
    name: "Node Example",
    phone: "+919876543210",
    ...credentials,
  });
  console.log(`registered ${credentials.email} with the password ${credentials.password}`);
  return credentials;
}

/** Sign in: start a session. */
async function signIn(api, credentials) {
  keep(api, await call(api, "POST", "/auth/login", credentials));
}

/** Continue the session when its access token has expired; fail if the session was ended. */
async function renew(api) {
  keep(api, await call(api, "POST", "/auth/refresh", { refresh_token: api.refreshToken }));
}

/** Keep the access token (valid for 24 hours), the token that renews it, and the user's id. */
function keep(api, tokens) {
  api.token = tokens.access_token;
  api.refreshToken = tokens.refresh_token;
  api.userId = tokens.client_id;
}

/** Open the portfolio; the server returns an existing one. */
async function openPortfolio(api) {
  const portfolio = await call(api, "POST", "/portfolio/create", {});
  console.log(`portfolio of ${api.userId}: ${rupees(portfolio.available_margin)} available`);
}

/** Buy one NIFTY with a stop-loss and a target so close that one of them is reached soon. */
async function openTrade(api) {
  let { price } = await call(api, "GET", "/market/live/NIFTY");
  for (let attempt = 1; ; attempt += 1) {
    const distance = price * 0.00002;
    try {
      return await call(api, "POST", "/trades/create", {
        symbol: "NIFTY",
        trade_type: "BUY",
        quantity: 1,
        stop_loss: paise(price - distance),
        target_price: paise(price + distance),
      });
    } catch (error) {
      // The price has moved past a level meanwhile; the error names the new price.
      if (error.code !== "wrong_side_of_price" || attempt === 5) throw error;
      price = error.details.price;
    }
  }
}

/** Buy one NIFTY a little below its price, with a stop that follows each new best price. */
async function placeOrder(api) {
  const { price } = await call(api, "GET", "/market/live/NIFTY");
  await call(api, "POST", "/trades/create", {
    symbol: "NIFTY",
    trade_type: "BUY",
    quantity: 1,
    order_type: "LIMIT",
    limit_price: Math.floor(price * 0.9999 * 10) / 10, // a multiple of the tick, which is 5 paise
    trailing_offset: Math.ceil(price * 0.0004),
  });
}

// --------------------------------------------------------------------------------------- events

/**
 * Show how the trailing stops of BUY trades follow. The server sends no event for it, because
 * the level follows from the prices: it is `trailing_offset` below the best since the entry.
 */
class TrailingStops {
  #trades = new Map(); // trade_id -> { symbol, offset, best }
  #prices = new Map(); // symbol -> last price

  /** Begin, change or end the stop of a trade by one of its events. */
  onTrade(event, { trade_id: id, trailing_offset: offset, ...data }) {
    if (["trade_exited", "trade_auto_closed"].includes(event)) this.#trades.delete(id);
    if (!offset || data.trade_type !== "BUY") return;
    // A changed stop follows the prices from the last one on.
    if (event === "trade_modified" && this.#trades.has(id)) {
      this.#follow(id, { symbol: data.symbol, offset, best: this.#prices.get(data.symbol) });
    } else if (event === "trade_filled" || data.status === "ACTIVE") {
      this.#follow(id, { symbol: data.symbol, offset, best: data.entry_price });
    }
  }

  onPrice(symbol, price) {
    this.#prices.set(symbol, price);
    for (const [id, trade] of this.#trades) {
      if (trade.symbol === symbol && price > trade.best) {
        this.#follow(id, { ...trade, best: price });
      }
    }
  }

  #follow(id, trade) {
    this.#trades.set(id, trade);
    const level = rupees(trade.best - trade.offset);
    console.log(`trailing_stop ${trade.symbol.padEnd(12)} ${level}  best ${rupees(trade.best).trim()}`);
  }
}

/** Connect and print events; call `on.ready`, `on.update` and `on.failure`. */
function follow(api, symbols, on) {
  // Loaded here, so that --help and REST errors work before `npm ci`.
  const { io } = require("socket.io-client");
  let lastSeq; // of the last trade_update seen; undefined before the first join
  let away = false;
  const stops = new TrailingStops();

  // `auth` is a function, so that a reconnection sends the current token.
  const socket = io(api.url, { auth: (send) => send({ token: api.token }) });

  // With `since`, the server first replays the missed events, in order.
  const join = async () => {
    const room = { user_id: api.userId, token: api.token, since: lastSeq };
    const joined = await ask(socket, "join", room);
    lastSeq = Math.max(lastSeq ?? 0, joined.seq);
  };

  // Runs after each reconnection too: rooms and subscriptions end with the connection.
  socket.on("connect", async () => {
    try {
      await join();
      // With `batch`, the prices of a pass come in one message: less work for both sides.
      const subscribed = await ask(socket, "subscribe", { symbols, batch: true });
      for (const name of subscribed.unknown) console.log(`unknown symbol: ${name}`);
      console.log(`${away ? "reconnected" : "connected"}, at event ${lastSeq}`);
      if (!away) on.ready();
      away = false;
    } catch (error) {
      // The connection broke meanwhile: the next one repeats all of it.
      if (socket.connected) on.failure(error);
    }
  });

  // Without a code it is information. With one, it explains a refusal or an expired token.
  socket.on("status", async ({ msg, code }) => {
    if (code) console.log(`status        ${code}: ${msg}`);
    if (code !== "token_expired") return;
    try {
      await renew(api);
      await join();
    } catch (error) {
      if (socket.connected) on.failure(error);
    }
  });

  const onPrice = ({ symbol, price, timestamp, source }) => {
    console.log(`live_price    ${symbol.padEnd(12)} ${rupees(price)}  ${source}  ${timestamp}`);
    stops.onPrice(symbol, price);
  };
  // The first prices of the indices come by themselves, before the subscription.
  socket.on("live_price", onPrice);
  socket.on("live_prices", (prices) => prices.forEach(onPrice));

  socket.on("trade_update", ({ event, data, seq }) => {
    // The acknowledgement of a join may arrive before the events it replayed: never go back.
    lastSeq = Math.max(lastSeq ?? 0, seq);
    console.log(`trade_update  #${seq} ${event} ${describe(data)}`);
    stops.onTrade(event, data);
    on.update();
  });

  socket.on("disconnect", (reason) => {
    if (reason === "io client disconnect") return;
    away = true;
    console.log(`disconnected (${reason}), reconnecting ...`);
    // The library does not reconnect when the server closed the connection on purpose.
    if (reason === "io server disconnect") socket.connect();
  });

  socket.on("connect_error", async (error) => {
    // The library retries any other failure, such as one of the network.
    if (error.message !== "unauthorized") return;
    try {
      await renew(api);
      socket.connect();
    } catch (failure) {
      on.failure(failure);
    }
  });

  return socket;
}

/** Send an event; return its acknowledgement, or throw its error. */
async function ask(socket, event, payload) {
  const answer = await socket.timeout(10_000).emitWithAck(event, payload);
  if (!answer.ok) throw new Failure(`${event}: ${answer.error}`);
  return answer;
}

// ----------------------------------------------------------------------------------------- text

const paise = (amount) => Math.round(amount * 100) / 100;
const rupees = (amount) =>
  amount.toLocaleString("en-IN", { style: "currency", currency: "INR" }).padStart(12);

function describe(data) {
  if (!data.trade_id) return JSON.stringify(data);
  const trade = `${data.trade_type} ${data.quantity} ${data.symbol}`;
  const reason = data.reason ? ` (${data.reason})` : "";
  if (data.exit_price !== undefined) {
    const result = `pnl ${rupees(data.pnl).trim()}`;
    return `${trade} ${data.open_quantity ? "in part " : ""}closed at ${rupees(data.exit_price).trim()}${reason}, ${result}`;
  }
  if (data.entry_price) return `${trade} at ${rupees(data.entry_price).trim()}`;
  // A pending order that was placed, cancelled, expired or modified.
  const stop = data.stop_price ? ` stop ${rupees(data.stop_price).trim()}` : "";
  const limit = data.limit_price ? ` limit ${rupees(data.limit_price).trim()}` : "";
  return `${trade}${stop}${limit}${reason}`;
}

// ----------------------------------------------------------------------------------------- main

function readOptions() {
  try {
    const { values } = parseArgs({ options });
    if (Boolean(values.email) !== Boolean(values.password)) {
      throw new Error("--email and --password go together");
    }
    if (values["exit-after"] && !/^[1-9]\d*$/.test(values["exit-after"])) {
      throw new Error("--exit-after takes a whole number from 1");
    }
    return values;
  } catch (error) {
    throw new Failure(error.message);
  }
}

async function main() {
  const wanted = readOptions();
  if (wanted.help) {
    console.log(`node examples/client.js [--${Object.keys(options).join("] [--")}]`);
    return;
  }
  const api = { url: wanted.url.replace(/\/+$/, "") };
  const { email, password } = wanted;
  const credentials = email ? { email, password } : await register(api);
  await signIn(api, credentials);
  await openPortfolio(api);

  let socket;
  await new Promise((end, fail) => {
    let updatesLeft = Number(wanted["exit-after"] ?? Infinity);
    socket = follow(api, wanted.symbols.split(","), {
      // Joined and subscribed: no event of a trade is missed from here on.
      ready: () => {
        if (wanted.trade) openTrade(api).catch(fail);
        if (wanted.order) placeOrder(api).catch(fail);
      },
      update: () => (updatesLeft -= 1) || end(),
      failure: fail,
    });
    process.once("SIGINT", end);
    process.once("SIGTERM", end);
  }).finally(() => socket?.disconnect());
  console.log("bye");
}

main().catch((error) => {
  console.error(error instanceof Failure ? error.message : error);
  process.exitCode = 1;
});
