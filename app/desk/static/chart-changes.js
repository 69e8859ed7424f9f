/**
 * What happens when a level of the chart is dropped or removed: the request, and a way back.
 * @module
 */
import { changeAlert, deleteAlert } from "./alerts.js";
import { price } from "./format.js";
import { store } from "./store.js";
import { cancel, modify } from "./trading.js";

/** @typedef {import("./chart-levels.js").Level} Level */

/**
 * Move a level to a price, and offer to undo it. Refusals are shown in the API's words.
 * @param {Level} level
 * @param {number} to
 * @returns {Promise<boolean>} whether it moved
 */
export async function moveLevel(level, to) {
  const from = level.price;
  if (to === from || !level.field) return false;
  const isDone = await attempt(() => send(level, to));
  if (isDone) {
    offerUndo(`${level.name}: ${price(from)} → ${price(to)}`, () => send(level, from));
  }
  return isDone;
}

/**
 * Remove a stop, a target or an alert, or cancel an order.
 * @param {Level} level
 */
export async function removeLevel(level) {
  const { trade, alert } = level;
  if (alert) {
    if (await attempt(() => deleteAlert(alert))) offerUndo(`${level.name} was deleted.`, null);
  } else if (trade && level.kind === "order") {
    if (await attempt(() => cancel(trade))) offerUndo(`${level.name} was cancelled.`, null);
  } else if (await attempt(() => send(level, null))) {
    offerUndo(`${level.name} was removed.`, () => send(level, level.price));
  }
}

/**
 * Send the new price of a level; null removes it.
 * @param {Level} level
 * @param {number | null} to
 */
async function send({ field, trade, alert }, to) {
  if (!field) return;
  if (alert) await changeAlert(alert, { [field]: to });
  // The trade may have changed since the level was drawn, also by the change to undo.
  else if (trade) await modify(store.get("trades").get(trade.trade_id) ?? trade, { [field]: to });
}

/**
 * @param {string} text
 * @param {(() => Promise<unknown>) | null} undo
 */
function offerUndo(text, undo) {
  const action = undo && { label: "Undo", run: () => void attempt(undo) };
  store.emit("toast", { kind: "success", text, ...(action ? { action } : {}) });
}

/**
 * Return whether a request succeeded; show its error otherwise.
 * @param {() => Promise<unknown>} request
 */
async function attempt(request) {
  try {
    await request();
    return true;
  } catch (error) {
    store.emit("toast", { kind: "error", text: String(Object(error).message) });
    return false;
  }
}
