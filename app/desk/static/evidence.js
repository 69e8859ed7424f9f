/**
 * Why a trade was filled, in words, from the evidence that the server keeps of each fill.
 * @module
 */
import { moment, price, shortName, signed, sourceName, whole } from "./format.js";

const RESULTS = {
  PENDING: "Waiting",
  ACTIVE: "Open",
  CLOSED: "Exited",
  STOP_LOSS_HIT: "Stop-loss",
  TARGET_HIT: "Target",
  TRAILING_STOP_HIT: "Trailing stop",
  CANCELLED: "Cancelled",
  EXPIRED: "Expired",
  REJECTED: "Rejected",
};
const END_REASONS = {
  user: "You cancelled the order.",
  oco: "The other order of its pair was filled first.",
  oco_rejected: "The other order of its pair was rejected.",
  ioc: "It could not be filled at once, as its validity demands.",
  expired: "It was not filled before its validity ended.",
  portfolio_reset: "The portfolio was reset.",
  corporate_action: "Its share was reorganized.",
  insufficient_margin: "At its fill the free margin was too small.",
  broker_ab1004: "The broker rejected it: something went wrong (AB1004).",
  broker_ab1007: "The broker rejected it: its order system failed (AB1007).",
  broker_ab2001: "The broker rejected it: internal error (AB2001).",
};
const SETTLED_FROM = {
  gap: " It was found later, in the candles of a time without ticks.",
  quote: " It was found at the first price after a time without any.",
  last_price: " No source has had a price for a day, so the last known one counts.",
};

/**
 * Name the result of a trade.
 * @param {Trade} trade
 */
export function result(trade) {
  return RESULTS[/** @type {keyof typeof RESULTS} */ (trade.status)] ?? trade.status;
}

/**
 * Say why an entry ended unfilled; empty if it was filled.
 * @param {Trade} trade
 */
export function whyUnfilled(trade) {
  return END_REASONS[/** @type {keyof typeof END_REASONS} */ (trade.end_reason)] ?? "";
}

/**
 * Tell a fill in one sentence: "Stop-loss 24,900.00 was reached by the tick 24,890.50 of 10:15:04
 * (simulated): sold 2 at 24,890.50, −31.20."
 * @param {Trade} trade
 * @param {Fill} fill
 */
export function describeFill(trade, fill) {
  const isBuying = (fill.kind === "entry") === (trade.trade_type === "BUY");
  const slippage = fill.slippage ? ` with ${price(fill.slippage)} slippage` : "";
  const what = `${whole(fill.quantity)} at ${price(fill.price)}${slippage}`;
  const did = `${isBuying ? "bought" : "sold"} ${what}`;
  const pnl = fill.pnl === null ? "" : `, ${signed(fill.pnl)}`;
  const later = SETTLED_FROM[/** @type {keyof typeof SETTLED_FROM} */ (fill.settled_from)] ?? "";
  return `${cause(trade, fill)}: ${did}${pnl}.${later}`;
}

/**
 * @param {Trade} trade
 * @param {Fill} fill
 */
function cause(trade, fill) {
  const level = levelOf(trade, fill);
  const { price: at, source, timestamp } = fill.quote;
  const tick = `${price(at)} of ${moment(timestamp)} IST (${sourceName(source)})`;
  if (!level) {
    const what = fill.kind === "entry" ? "Entry at market" : "You exited";
    return `${what}, at the price ${tick}`;
  }
  if (fill.rule === "opening") return `The session opened beyond ${level}, with ${tick}`;
  if (fill.rule === "candle") return `${level} was reached in the candle with ${tick}`;
  return `${level} was reached by the tick ${tick}`;
}

/**
 * Name the level that was reached, null for what happened at the market.
 * @param {Trade} trade
 * @param {Fill} fill
 */
function levelOf(trade, fill) {
  if (fill.reason === "stop_loss") return `Stop-loss ${price(trade.stop_loss)}`;
  if (fill.reason === "target") return `Target ${price(trade.target_price)}`;
  if (fill.reason === "trailing_stop") {
    const { best } = fill;
    const peak = best ? `, after the best price ${price(best.price)} of ${moment(best.time)},` : "";
    return `The trailing stop${peak}`;
  }
  if (fill.kind === "exit") return null;
  if (trade.limit_price !== null) return `Limit ${price(trade.limit_price)}`;
  if (trade.stop_price !== null) return `Stop ${price(trade.stop_price)}`;
  return null;
}

/**
 * Tell what a corporate action changed: "1:1 bonus of 2026-12-01: 100 at 1,400.00 became 200 at
 * 700.00."
 * @param {Adjustment} adjustment
 */
export function describeAdjustment(adjustment) {
  const { kind, ratio, amount, pnl } = adjustment;
  const name = [ratio, kind, amount && price(amount)].filter(Boolean).join(" ");
  const before = `${whole(adjustment.quantity_before)} at ${price(adjustment.entry_price_before)}`;
  const after = `${whole(adjustment.quantity)} at ${price(adjustment.entry_price)}`;
  const change = before === after ? after : `${before} became ${after}`;
  return `${name} of ${adjustment.ex_date}: ${change}${pnl ? `, ${signed(pnl)}` : ""}.`;
}

/**
 * Say what a trade was, for a heading: "BUY 2 RELIANCE".
 * @param {Trade} trade
 */
export function title(trade) {
  return `${trade.trade_type} ${whole(trade.quantity)} ${shortName(trade.symbol)}`;
}

/**
 * Say in words what became of an order.
 * @param {Trade} trade
 */
export function describePlaced(trade) {
  const what = `${whole(trade.quantity)} ${shortName(trade.symbol)}`;
  const verb = trade.trade_type === "BUY" ? ["Bought", "buy"] : ["Sold", "sell"];
  if (trade.status === "ACTIVE") return `${verb[0]} ${what} at ${price(trade.entry_price)}.`;
  if (trade.status === "PENDING") return `The order to ${verb[1]} ${what} waits.`;
  return `The order to ${verb[1]} ${what} ended unfilled.`;
}

/**
 * Say in words what became of a pair of orders.
 * @param {Trade} first
 * @param {Trade} second
 */
export function describePair(first, second) {
  const [one, other] = [first, second].map(
    (trade) => `${trade.trade_type === "BUY" ? "buy" : "sell"} ${whole(trade.quantity)}`,
  );
  const name = shortName(first.symbol);
  return `The orders to ${one} and to ${other} ${name} wait: the first to fill cancels the other.`;
}
