/**
 * The user's notifications: how many are unread, and the toasts of events as they happen.
 * @module
 */
import * as api from "./api.js";
import { withShortName } from "./format.js";
import { NOTICES } from "./reasons.js";
import { store } from "./store.js";

/** Events arrive in bursts; they are read at once, this many milliseconds later. */
const COLLECT = 150;
const PAGE = 30;
/** More events at once than this become one toast. */
const FEW = 3;
/** What happens without a request of the user, or beside it. */
const SPONTANEOUS = new Set([
  "trade_filled",
  "trade_triggered",
  "trade_adjusted",
  "trade_expired",
  "trade_rejected",
  "trade_auto_closed",
  "price_alert",
  ...Object.keys(NOTICES),
]);

/** @type {TradeUpdate[]} */
let arrived = [];

/**
 * Read a page of notifications, newest first, and the number of unread ones. Throws ApiError.
 * @param {{cursor?: string | null, limit?: number}} [page]
 * @returns {Promise<{notifications: DeskNotification[], next_cursor: string | null}>}
 */
export async function readNotifications({ cursor = null, limit = PAGE } = {}) {
  const page = await api.get("/notifications", { limit, cursor });
  store.set("unread", page.unread_count);
  const notifications = page.notifications.map((/** @type {DeskNotification} */ each) => ({
    ...each,
    message: withShortName(each.message, each.data.symbol),
  }));
  return { notifications, next_cursor: page.next_cursor };
}

/**
 * Mark everything up to the newest shown notification as read. Throws ApiError.
 * @param {number} seq of that notification
 */
export async function markAllRead(seq) {
  const { unread_count: unread } = await api.put("/notifications/read", { up_to_seq: seq });
  store.set("unread", unread);
}

/**
 * Mark one notification as read. Throws ApiError.
 * @param {DeskNotification} notification
 */
export async function markRead({ id }) {
  await api.put(`/notifications/${id}/read`, {});
  store.set("unread", Math.max(0, store.get("unread") - 1));
}

/**
 * Return the kind of toast that an event is.
 * @param {DeskNotification} notification
 * @returns {Toast["kind"]}
 */
function kindOf({ type, data }) {
  if (type === "trade_rejected" || type === "sign_in_failures") return "error";
  return typeof data.pnl === "number" && data.pnl > 0 ? "success" : "info";
}

/** Read what has arrived in the words of the API, and show what the user did not do. */
async function announce() {
  const updates = arrived;
  arrived = [];
  const seqs = new Set(updates.filter(isWorthAToast(updates)).map(({ seq }) => seq));
  const { notifications } = await readNotifications({ limit: Math.max(PAGE, updates.length) });
  store.touch("unread");
  const shown = notifications.filter(({ seq }) => seqs.has(seq)).reverse();
  if (shown.length > FEW) {
    store.emit("toast", { kind: "info", text: `${shown.length} things happened. See the bell.` });
    return;
  }
  for (const each of shown) store.emit("toast", { kind: kindOf(each), text: each.message });
}

/** @param {TradeUpdate[]} updates */
function isWorthAToast(updates) {
  // An order at the market is filled at once, and the ticket has said so.
  const created = updates.filter(({ event }) => event === "trade_created");
  const ids = new Set(created.map(({ data }) => data.trade_id));
  return (/** @type {TradeUpdate} */ { event, data }) =>
    SPONTANEOUS.has(event) && !(event === "trade_filled" && ids.has(data.trade_id));
}

store.events.addEventListener("trade-event", (event) => {
  arrived.push(/** @type {CustomEvent<TradeUpdate>} */ (event).detail);
  if (arrived.length > 1) return;
  // The list stays right without the toasts.
  setTimeout(() => void announce().catch(() => {}), COLLECT);
});
