/**
 * The socket: prices of the symbols that the desk shows, and the events of its user.
 * @module
 */
import { io } from "/desk/vendor/socket.io-client/dist/socket.io.esm.min.js";
import { renewTokens } from "./api.js";
import { accessToken, keptUser } from "./session.js";
import { store } from "./store.js";

/** How long a reply may take, in milliseconds. */
const REPLY_TIMEOUT = 10_000;
/** The most symbols that a request may name. */
const BATCH = 100;
/** Prices come as one `live_prices` a pass. */
const TOGETHER = { batch: true };
/** Codes of a refusal that a new token may end. */
const TOKEN_CODES = new Set(["token_expired", "token_revoked", "token_invalid", "unauthorized"]);

/** @type {import("/desk/vendor/socket.io-client/dist/socket.io.esm.min.js").Socket | null} */
let socket = null;
/** The number of elements that show each symbol. @type {Map<string, number>} */
const followed = new Map();
/** @type {Set<string>} */
const wanted = new Set();
/** @type {Set<string>} */
const unwanted = new Set();
/** The `seq` of the last event; null until the room was joined. @type {number | null} */
let lastSeq = null;
/** @type {() => void} */
let onJoined = () => {};
let isRenewing = false;

/**
 * Connect as the signed-in user. `joined` is called after each join of the user's room: whatever
 * was read before may be out of date.
 * @param {() => void} joined
 */
export function connect(joined) {
  disconnect();
  onJoined = joined;
  socket = io({
    auth: (give) => give({ token: accessToken() }),
    reconnectionDelayMax: 5_000,
    // A WebSocket at once has the first price sooner than the upgrade of a poll.
    transports: ["websocket", "polling"],
    tryAllTransports: true,
  });
  socket.on("connect", enter);
  socket.on("disconnect", (reason) => {
    setConnection("lost");
    // The server ends the socket of an expired or revoked token.
    if (reason === "io server disconnect") renewAndReconnect();
  });
  socket.on("connect_error", (error) => {
    setConnection("lost");
    if (error.message === "unauthorized") renewAndReconnect();
  });
  // Those of the indices that come before the first subscription; later ones come together.
  socket.on("live_price", (quote) => store.setQuote(quote));
  socket.on("live_prices", (quotes) => store.setQuotes(quotes));
  socket.on("trade_update", receive);
  socket.on("status", ({ code }) => {
    if (TOKEN_CODES.has(code)) renewAndReconnect();
  });
}

/** Disconnect, and forget the events of the user. */
export function disconnect() {
  socket?.disconnect();
  socket = null;
  lastSeq = null;
}

/**
 * Receive the prices of symbols until the returned function is called.
 * @param {Iterable<string>} symbols
 */
export function follow(symbols) {
  const names = [...symbols];
  for (const name of names) count(name, 1);
  return () => {
    for (const name of names) count(name, -1);
    names.length = 0;
  };
}

/**
 * @param {string} symbol
 * @param {1 | -1} step
 */
function count(symbol, step) {
  const before = followed.get(symbol) ?? 0;
  if (before + step > 0) followed.set(symbol, before + step);
  else followed.delete(symbol);
  if (before > 0 && followed.has(symbol)) return;
  (step > 0 ? wanted : unwanted).add(symbol);
  (step > 0 ? unwanted : wanted).delete(symbol);
  // Elements that change places leave and enter in one turn.
  if (wanted.size + unwanted.size === 1) queueMicrotask(sendChanges);
}

function sendChanges() {
  if (socket?.connected) {
    request("subscribe", wanted, TOGETHER);
    request("unsubscribe", unwanted);
  }
  wanted.clear();
  unwanted.clear();
}

/**
 * @param {"subscribe" | "unsubscribe"} event
 * @param {Iterable<string>} names
 * @param {{batch?: boolean}} [options]
 */
function request(event, names, options) {
  const symbols = [...names];
  for (let at = 0; at < symbols.length; at += BATCH) {
    socket?.emit(event, { symbols: symbols.slice(at, at + BATCH), ...options });
  }
}

async function enter() {
  wanted.clear();
  unwanted.clear();
  request("subscribe", followed.keys(), TOGETHER);
  const user = keptUser();
  if (!user || !socket) return;
  const since = lastSeq === null ? {} : { since: lastSeq };
  try {
    const reply = await socket
      .timeout(REPLY_TIMEOUT)
      .emitWithAck("join", { user_id: user.clientId, ...since });
    if (!reply.ok) return renewAndReconnect();
    lastSeq ??= reply.seq;
    setConnection("open");
    onJoined();
  } catch {
    // No reply: a new connection may have more luck.
    socket?.disconnect().connect();
  }
}

/** @param {TradeUpdate} update */
function receive(update) {
  if (lastSeq !== null && update.seq <= lastSeq) return;
  lastSeq = update.seq;
  store.emit("trade-event", update);
}

async function renewAndReconnect() {
  if (isRenewing) return;
  isRenewing = true;
  try {
    await renewTokens();
    socket?.disconnect().connect();
  } catch {
    // Signed out, which `api` has reported, or offline: then the socket tries again by itself.
    setTimeout(() => socket?.connect(), 2_000);
  } finally {
    isRenewing = false;
  }
}

/** @param {DeskState["connection"]} state */
function setConnection(state) {
  if (store.get("connection") === state) return;
  store.set("connectionSince", Date.now());
  store.set("connection", state);
}
