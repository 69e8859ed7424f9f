/**
 * The user's price alerts that still wait.
 * @module
 */
import * as api from "./api.js";
import { store } from "./store.js";

/** A user has at most this many. */
const MOST = 100;

/** Read the alerts into the store. Throws ApiError. */
export async function readAlerts() {
  if (!store.get("user")) return;
  const { alerts } = await api.get("/market/alerts", { status: "ACTIVE", limit: MOST });
  store.set("alerts", alerts);
}

/**
 * Set an alert at a level above or below the price. Throws ApiError.
 * @param {string} symbol
 * @param {{above?: number, below?: number}} levels
 * @returns {Promise<PriceAlert>}
 */
export async function createAlert(symbol, levels) {
  const alert = await api.post("/market/alerts", { symbol, ...levels }, { key: api.newKey() });
  keep(alert);
  return alert;
}

/**
 * Move the levels of an alert; null removes one. Throws ApiError.
 * @param {PriceAlert} alert
 * @param {{above?: number | null, below?: number | null}} levels
 */
export async function changeAlert(alert, levels) {
  keep(await api.patch(`/market/alerts/${alert.alert_id}`, levels));
}

/**
 * Delete an alert. Throws ApiError.
 * @param {PriceAlert} alert
 */
export async function deleteAlert({ alert_id: id }) {
  await api.del(`/market/alerts/${id}`);
  store.set(
    "alerts",
    store.get("alerts").filter((each) => each.alert_id !== id),
  );
}

/** @param {PriceAlert} alert */
function keep(alert) {
  const others = store.get("alerts").filter((each) => each.alert_id !== alert.alert_id);
  store.set("alerts", alert.status === "ACTIVE" ? [alert, ...others] : others);
}

store.events.addEventListener("trade-event", (event) => {
  const { detail } = /** @type {CustomEvent<TradeUpdate>} */ (event);
  if (detail.event === "price_alert") void readAlerts().catch(() => {});
});
