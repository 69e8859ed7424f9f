/**
 * The profit of open trades at the prices that the desk has.
 * @module
 */
import { store } from "./store.js";

/**
 * Return the profit of a trade at a price, in rupees; null without a price or an entry.
 * @param {Trade} trade
 * @param {number | null | undefined} price
 */
export function profitAt(trade, price) {
  if (price == null || trade.entry_price === null) return null;
  const sign = trade.trade_type === "BUY" ? 1 : -1;
  // In paise, so that no fraction of one appears.
  return (Math.round((price - trade.entry_price) * 100) * trade.open_quantity * sign) / 100;
}

/**
 * Return the last price of a trade's symbol: the latest one that arrived, else the API's.
 * @param {Trade} trade
 */
export function lastPrice(trade) {
  return store.quote(trade.symbol)?.price ?? trade.last_price;
}

/** Return the ACTIVE trades, newest first. */
export function openTrades() {
  return [...store.get("trades").values()].filter((trade) => trade.status === "ACTIVE");
}

/** Return the orders that wait for their price or session, newest first. */
export function pendingOrders() {
  return [...store.get("trades").values()].filter((trade) => trade.status === "PENDING");
}

/** Return the profit of all open trades in rupees; null if none has a price. */
export function openProfit() {
  const profits = openTrades().map((trade) => profitAt(trade, lastPrice(trade)));
  const known = profits.filter((profit) => profit !== null);
  return known.length ? known.reduce((sum, profit) => sum + profit, 0) : null;
}

/** Return what the portfolio would be worth in rupees at the latest prices; null if unknown. */
export function equityNow() {
  const portfolio = store.get("portfolio");
  if (!portfolio) return null;
  return portfolio.available_margin + portfolio.utilized_margin + (openProfit() ?? 0);
}
