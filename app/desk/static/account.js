/**
 * Signing in, and keeping what the desk knows of the user in step with the server.
 * @module
 */
import * as api from "./api.js";
import { DONE, guideOf, hasTraded, keepGuide, NEW } from "./guide.js";
import { forgetTokens, forgetTraces, keepTokens, keptUser, onUserChange } from "./session.js";
import { connect, disconnect } from "./socket.js";
import { store } from "./store.js";

/** Events arrive in bursts; they are answered by one read, this many milliseconds later. */
const COLLECT = 120;
/** With more trades than this in a burst, the list is read instead of each of them. */
const FEW = 3;
/** Trades that can still change. */
const OPEN = ["ACTIVE", "PENDING"];
const PAGE = 500;

/** @type {Set<string>} */
const outdated = new Set();
let isCollecting = false;

/** Restore the session of this browser, and follow sign-ins of other tabs. */
export function start() {
  api.whenSignedOut(leave);
  onUserChange(() => (keptUser() ? location.reload() : leave()));
  store.events.addEventListener("trade-event", (event) => {
    outdate(/** @type {CustomEvent<TradeUpdate>} */ (event).detail);
  });
  if (keptUser()) enter();
}

/**
 * Sign in. Throws ApiError.
 * @param {{email: string, password: string, totp?: string}} credentials an email or client_id
 */
export async function signIn(credentials) {
  keepTokens(await login(credentials));
  await enter();
}

/**
 * Register a user, sign in and open a portfolio. Throws ApiError.
 * @param {{name: string, email: string, phone: string, password: string}} fields
 */
export async function register(fields) {
  await createAccount(fields);
  await enter();
}

/**
 * Register a user with a random name and password, for a first look. The password is not kept, so
 * the account can be used as long as the session lasts.
 */
export async function startDemo() {
  const random = api.newKey();
  const digits = String(parseInt(random.slice(0, 12), 16))
    .slice(-9)
    .padStart(9, "0");
  await createAccount({
    name: "Demo Trader",
    email: `demo-${random.slice(0, 10)}@example.com`,
    phone: `9${digits}`,
    password: random,
  });
  // This address receives no mail.
  await api.put("/notifications/preferences", { email: false, sms: false, events: [] });
  await enter();
}

/** End the session, here and on the server. */
export async function signOut() {
  // Otherwise the server would end the socket, and the socket would ask for a new token.
  disconnect();
  try {
    await api.post("/auth/logout");
  } catch {
    // The tokens are removed here in any case.
  }
  forgetTokens();
  leave();
}

/**
 * Delete the account of the user, and everything of it. Throws ApiError.
 * @param {{password: string, totp?: string}} proof
 */
export async function deleteAccount(proof) {
  const { clientId } = store.get("user") ?? { clientId: "" };
  const { message } = await api.del("/auth/me", proof);
  forgetTokens();
  forgetTraces(clientId);
  leave();
  store.emit("toast", { kind: "success", text: message });
}

/**
 * Show another portfolio of the user.
 * @param {string} name
 */
export async function choosePortfolio(name) {
  store.set("portfolioName", name);
  await refresh();
}

/** Read the portfolio and the open trades again. */
export async function refresh() {
  await Promise.all([readPortfolio(), readTrades()]);
}

/** @param {{name: string, email: string, phone: string, password: string}} fields */
async function createAccount(fields) {
  await api.post("/auth/register", fields);
  const tokens = await login(fields);
  keepTokens(tokens);
  keepGuide(tokens.client_id, NEW);
  await api.post("/portfolio/create");
}

/**
 * @param {{email: string, password: string, totp?: string}} credentials
 * @returns {Promise<import("./session.js").Tokens>}
 */
function login({ email, password, totp }) {
  const name = email.includes("@") ? { email } : { client_id: email };
  return api.post("/auth/login", { ...name, password, ...(totp ? { totp } : {}) });
}

async function enter() {
  const user = keptUser();
  if (!user) return;
  // The guide has its place when the desk is shown, so that nothing moves later.
  if (guideOf(user.clientId) === null) await findGuide(user.clientId);
  store.set("user", { clientId: user.clientId });
  connect(() => report(refresh()));
  await report(readMarket());
}

/** @param {string} clientId */
async function findGuide(clientId) {
  try {
    keepGuide(clientId, (await hasTraded(clientId)) ? DONE : NEW);
  } catch {
    // Without the answer there is no guide: the user may have traded before.
  }
}

function leave() {
  disconnect();
  store.forgetUser();
}

async function readPortfolio() {
  const user = store.get("user");
  if (!user) return;
  const name = store.get("portfolioName");
  try {
    store.set(
      "portfolio",
      await api.get(`/portfolio/${encode(user.clientId)}`, { portfolio: name }),
    );
  } catch (error) {
    if (!(error instanceof api.ApiError) || error.code !== "portfolio_not_found") throw error;
    store.set("portfolio", await api.post("/portfolio/create", { name }));
  }
}

async function readTrades() {
  const user = store.get("user");
  if (!user) return;
  const query = { portfolio: store.get("portfolioName"), limit: PAGE };
  const pages = await Promise.all(
    OPEN.map((status) => api.get(`/trades/${encode(user.clientId)}`, { ...query, status })),
  );
  /** @type {Trade[]} */
  const trades = pages.flatMap((page) => page.trades);
  trades.sort((a, b) => b.created_at.localeCompare(a.created_at));
  store.set("trades", new Map(trades.map((trade) => [trade.trade_id, trade])));
}

/**
 * Read one trade and take it over. Another reader may have been faster: the newer version wins.
 * @param {string} id
 */
async function readTrade(id) {
  const user = store.get("user");
  if (user) keepTrade(await api.get(`/trades/${encode(user.clientId)}/${id}`));
}

/**
 * Take over a trade from a response.
 * @param {Trade} trade
 */
export function keepTrade(trade) {
  const trades = store.get("trades");
  if ((trades.get(trade.trade_id)?.version ?? -1) > trade.version) return;
  const isShown = OPEN.includes(trade.status) && trade.portfolio === store.get("portfolioName");
  const others = [...trades].filter(([id]) => id !== trade.trade_id);
  if (!isShown) store.set("trades", new Map(others));
  else if (trades.has(trade.trade_id)) {
    const kept = [...trades].map(([id, last]) => [id, id === trade.trade_id ? trade : last]);
    store.set("trades", new Map(/** @type {[string, Trade][]} */ (kept)));
  } else store.set("trades", new Map([[trade.trade_id, trade], ...others]));
}

/** @param {TradeUpdate} update */
function outdate(update) {
  outdated.add(update.data.trade_id ?? "");
  if (isCollecting) return;
  isCollecting = true;
  setTimeout(async () => {
    const ids = [...outdated].filter((id) => id !== "");
    outdated.clear();
    isCollecting = false;
    const trades = ids.length > FEW ? [readTrades()] : ids.map(readTrade);
    await report(Promise.all([readPortfolio(), ...trades]));
  }, COLLECT);
}

async function readMarket() {
  store.set("market", await api.get("/market/status"));
}

/**
 * Return the user's id as part of an address.
 * @param {string} clientId
 */
export function encode(clientId) {
  return encodeURIComponent(clientId);
}

/**
 * Show the error of a task that the user did not start, unless the banner shows it already.
 * @param {Promise<unknown>} task
 */
async function report(task) {
  try {
    await task;
  } catch (error) {
    const isKnown = error instanceof api.ApiError && [0, 401].includes(error.status);
    if (!isKnown) store.emit("toast", { kind: "error", text: String(Object(error).message) });
  }
}
