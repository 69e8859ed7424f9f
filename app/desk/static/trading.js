/**
 * What a user does with orders and trades. Each function throws ApiError, in the API's words.
 * @module
 */
import { encode, keepTrade, refresh } from "./account.js";
import * as api from "./api.js";
import { store } from "./store.js";

/**
 * Show what an order would cost and earn.
 * @param {OrderBody} order
 * @returns {Promise<Preview>}
 */
export function preview(order) {
  return api.post("/trades/preview", order);
}

/**
 * Place an order. The `key` makes a repetition after a lost response safe.
 * @param {OrderBody} order
 * @param {string} key
 * @returns {Promise<Trade>}
 */
export async function place(order, key) {
  const trade = await api.post("/trades/create", order, { key });
  keepTrade(trade);
  return trade;
}

/**
 * Place two orders of which the first to fill cancels the other.
 * @param {OrderBody[]} orders
 * @param {string} key
 * @returns {Promise<Trade[]>}
 */
export async function placePair(orders, key) {
  const { trades } = await api.post("/trades/oco", { orders }, { key });
  for (const trade of trades) keepTrade(trade);
  return trades;
}

/**
 * Change a pending order, or the stop and target of an open trade. Null removes a level.
 * @param {Trade} trade
 * @param {Partial<Record<"limit_price" | "stop_price" | "stop_loss" | "target_price" |
 *   "trailing_offset" | "trailing_pct" | "quantity", number | null>>} changes
 * @returns {Promise<Trade>}
 */
export async function modify(trade, changes) {
  const path = `/trades/${encode(userId())}/${trade.trade_id}`;
  const changed = await api.patch(path, { ...changes, version: trade.version });
  keepTrade(changed);
  return changed;
}

/**
 * Cancel a pending order.
 * @param {Trade} trade
 */
export async function cancel(trade) {
  keepTrade(await api.post(`/trades/cancel/${trade.trade_id}`));
}

/**
 * Exit all that a trade holds, or a percentage of it.
 * @param {Trade} trade
 * @param {number} [percent]
 * @returns {Promise<{message: string, pnl?: number, exit_price?: number}>}
 */
export async function exit(trade, percent) {
  const body = percent ? { percent } : {};
  const done = await api.post(`/trades/exit/${trade.trade_id}`, body, { key: api.newKey() });
  // Otherwise the event of the exit brings the rest.
  if (store.get("connection") !== "open") await refresh();
  return done;
}

/**
 * Exit every open trade of the portfolio.
 * @returns {Promise<{message: string, total_pnl: number, count: number}>}
 */
export async function exitAll() {
  const body = { portfolio: store.get("portfolioName") };
  const done = await api.post(`/trades/exit-all/${encode(userId())}`, body, { key: api.newKey() });
  await refresh();
  return done;
}

/**
 * Read a trade with its fills.
 * @param {string} tradeId
 * @returns {Promise<TradeDetail>}
 */
export function detail(tradeId) {
  return api.get(`/trades/${encode(userId())}/${tradeId}`);
}

/** @returns {string} */
function userId() {
  const user = store.get("user");
  if (!user) throw new api.ApiError(401, { error: "You are signed out.", code: "token_missing" });
  return user.clientId;
}
