/**
 * The levels that the chart draws: entries, stops, targets, waiting orders and alerts.
 * @module
 */
import { price, signed, whole } from "./format.js";

/**
 * One line of the chart. `field` is what a drag changes, null for a line that cannot move.
 * @typedef {object} Level
 * @property {string} id
 * @property {"entry" | "stop" | "target" | "order" | "alert"} kind
 * @property {string} name what it is, for a label
 * @property {number} price
 * @property {LevelField | null} field
 * @property {string | null} removes what its button does in words, null if it has none
 * @property {Trade} [trade]
 * @property {PriceAlert} [alert]
 */
/** @typedef {"limit_price" | "stop_price" | "stop_loss" | "target_price" | "above" | "below"} LevelField */

/**
 * Return the levels of a symbol.
 * @param {string} symbol
 * @param {Iterable<Trade>} trades
 * @param {Iterable<PriceAlert>} alerts
 * @returns {Level[]}
 */
export function levelsOf(symbol, trades, alerts) {
  return [
    ...[...trades].filter((trade) => trade.symbol === symbol).flatMap(levelsOfTrade),
    ...[...alerts].filter((alert) => alert.symbol === symbol).flatMap(levelsOfAlert),
  ];
}

/** @param {Trade} trade */
function levelsOfTrade(trade) {
  const side = trade.trade_type === "BUY" ? "Buy" : "Sell";
  const name = `${side} ${whole(trade.open_quantity || trade.quantity)}`;
  const levels = [
    ...(trade.status === "ACTIVE"
      ? [level(trade, "entry", name, trade.entry_price, null)]
      : [
          level(trade, "order", `${name} stop`, trade.stop_price, "stop_price"),
          level(trade, "order", `${name} limit`, trade.limit_price, "limit_price"),
        ]),
    level(trade, "stop", `Stop of ${name}`, trade.stop_loss, "stop_loss"),
    level(trade, "stop", `Trailing stop of ${name}`, trade.trailing_stop ?? null, null),
    level(trade, "target", `Target of ${name}`, trade.target_price, "target_price"),
  ];
  return levels.filter((each) => each !== null);
}

/**
 * @param {Trade} trade
 * @param {Level["kind"]} kind
 * @param {string} name
 * @param {number | null} at
 * @param {LevelField | null} field
 * @returns {Level | null}
 */
function level(trade, kind, name, at, field) {
  if (at === null) return null;
  const removes = { entry: null, order: "Cancel the order", stop: "Remove the stop" };
  return {
    id: `${trade.trade_id}-${field ?? kind}`,
    ...{ kind, name, price: at, field, trade },
    removes: field && { ...removes, target: "Remove the target", alert: null }[kind],
  };
}

/**
 * @param {PriceAlert} alert
 * @returns {Level[]}
 */
function levelsOfAlert(alert) {
  return /** @type {const} */ (["above", "below"]).flatMap((field) => {
    const at = alert[field];
    if (at === null) return [];
    const id = `${alert.alert_id}-${field}`;
    const name = `Alert ${field}`;
    return [{ id, kind: "alert", name, price: at, field, removes: "Delete the alert", alert }];
  });
}

/**
 * Write what a level says at a price: its name, the price, and what the trade would earn there.
 * @param {Level} level
 * @param {number} at
 */
export function describe(level, at) {
  const result = resultAt(level, at);
  return `${level.name} at ${price(at)}${result === null ? "" : `, ${signed(result)}`}`;
}

/**
 * Return the rupees that the trade of a stop or target would earn at a price; null for others.
 * @param {Level} level
 * @param {number} at
 */
export function resultAt({ kind, trade }, at) {
  if (!trade || (kind !== "stop" && kind !== "target")) return null;
  const entry = trade.entry_price ?? trade.limit_price ?? trade.stop_price;
  if (entry === null) return null;
  const quantity = trade.open_quantity || trade.quantity;
  return (at - entry) * quantity * (trade.trade_type === "BUY" ? 1 : -1);
}

/** The handles of two lines are at least this far apart, in pixels. */
const APART = 24;
/** The first handle is below the figures of the candle, which the chart writes at its top. */
const TOP = 34;

/**
 * Put each handle at the height of its line, within the pane and beside the other handles.
 * @param {Iterable<HTMLElement>} handles
 * @param {Map<string, number>} heights where each line is, by the id of its handle
 * @param {number} height of the pane
 */
export function arrange(handles, heights, height) {
  const bottom = height - APART / 2;
  const placed = [...handles]
    .map((handle) => ({ handle, y: heights.get(handle.id) ?? 0 }))
    .sort((a, b) => a.y - b.y);
  let next = TOP;
  placed.forEach(({ handle, y }, place) => {
    const last = bottom - (placed.length - 1 - place) * APART;
    const at = Math.min(Math.max(y, next), Math.max(last, next));
    next = at + APART;
    handle.style.transform = `translateY(${Math.round(at)}px)`;
    handle.toggleAttribute("beyond", y < 0 || y > height);
  });
}

/**
 * Return the price on the tick size that is nearest.
 * @param {number} at
 * @param {number} tick
 */
export function onTick(at, tick) {
  return Math.max(tick, Number((Math.round(at / tick) * tick).toFixed(2)));
}
