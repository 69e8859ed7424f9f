/**
 * Why a trade was filled, in words, from the evidence that the server keeps of each fill.
 * @module
 */
import { moment, price, shortName, signed, sourceName, whole } from "./format.js";
import {
  ACTIONS,
  END_REASONS,
  EXIT_REASONS,
  inWords,
  RULES,
  SETTLED_FROM,
  STATUSES,
} from "./reasons.js";

/**
 * Name the result of a trade.
 * @param {Trade} trade
 */
export function result(trade) {
  return inWords(STATUSES, trade.status);
}

/**
 * Say why an entry ended unfilled; empty if it was filled.
 * @param {Trade} trade
 */
export function whyUnfilled(trade) {
  return trade.end_reason === null ? "" : inWords(END_REASONS, trade.end_reason);
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
  const later = fill.settled_from === null ? "" : ` ${inWords(SETTLED_FROM, fill.settled_from)}`;
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
    const what = fill.kind === "entry" ? "Entry at market" : EXIT_REASONS.user;
    return `${what}, at the price ${tick}`;
  }
  // Fills of earlier versions have no rule.
  const sentence = inWords(RULES, fill.rule ?? "stop");
  return sentence.replace("LEVEL", level).replace("TICK", tick);
}

/**
 * Name the level that was reached, null for what happened at the market.
 * @param {Trade} trade
 * @param {Fill} fill
 */
function levelOf(trade, fill) {
  if (fill.kind === "exit") return exitLevel(trade, fill);
  if (trade.limit_price !== null) return `Limit ${price(trade.limit_price)}`;
  if (trade.stop_price !== null) return `Stop ${price(trade.stop_price)}`;
  return null;
}

/**
 * @param {Trade} trade
 * @param {Fill} fill
 */
function exitLevel(trade, { reason, best }) {
  if (reason === null || reason === "user") return null;
  const name = inWords(EXIT_REASONS, reason);
  if (reason === "stop_loss") return `${name} ${price(trade.stop_loss)}`;
  if (reason === "target") return `${name} ${price(trade.target_price)}`;
  const peak = best && `, after the best price ${price(best.price)} of ${moment(best.time)},`;
  return name + (peak ?? "");
}

/**
 * Tell what a corporate action changed: "1:1 bonus of 2026-12-01: 100 at 1,400.00 became 200 at
 * 700.00."
 * @param {Adjustment} adjustment
 */
export function describeAdjustment(adjustment) {
  const { kind, ratio, amount, pnl } = adjustment;
  const name = [ratio, inWords(ACTIONS, kind), amount && price(amount)].filter(Boolean).join(" ");
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
