/**
 * The fields of one order of the ticket.
 * @module
 */
import { html, nothing } from "./element.js";
import { price, whole } from "./format.js";
import { priceAt } from "./sizing.js";
import { store } from "./store.js";
import { instrument } from "./symbols.js";
import { ENTRY_PRICES } from "./ticket-draft.js";

/** @typedef {import("./ticket-draft.js").TicketField} TicketField */
/** @typedef {import("./ticket-order.js").TicketOrder} TicketOrder */

/** @type {[OrderType, string][]} */
const ORDER_TYPES = [
  ["MARKET", "Market"],
  ["LIMIT", "Limit"],
  ["STOP", "Stop"],
  ["STOP_LIMIT", "Stop limit"],
];
/** @type {[import("./sizing.js").Sizing, string][]} */
const SIZINGS = [
  ["units", "Units"],
  ["value", "₹ value"],
  ["risk", "₹ at risk"],
];
const LABELS = {
  amount: "Quantity",
  limit_price: "Limit price",
  stop_price: "Stop price",
  stop_loss: "Stop-loss",
  target_price: "Target",
  trailing: "Trailing stop",
};
/** Distances of a stop-loss and a target that one press sets, in per cent. */
const DISTANCES = [0.25, 0.5, 1];

/**
 * Show all fields of an order.
 * @param {TicketOrder} order
 * @param {boolean} isOfPair whether it must wait
 */
export function orderFields(order, isOfPair) {
  const { draft } = order;
  const types = ORDER_TYPES.filter(([type]) => !isOfPair || type !== "MARKET");
  return html`${choice(order, "Side", "side", [
      ["BUY", "Buy"],
      ["SELL", "Sell"],
    ])}
    ${choice(order, "Order type", "orderType", types)} ${quantity(order)}
    ${ENTRY_PRICES[draft.orderType].map((name) => field(order, name))}
    <fieldset class="pair">
      <legend class="hidden-text">Protection</legend>
      ${level(order, "stop_loss")} ${level(order, "target_price")}
    </fieldset>
    <div class="pair">${trailing(order)} ${validity(order, isOfPair)}</div>`;
}

/**
 * @param {TicketOrder} order
 * @param {string} label
 * @param {"side" | "orderType" | "sizing"} name
 * @param {[string, string][]} options
 */
function choice(order, label, name, options) {
  return html`<div class=${`choice ${name}`} role="group" aria-label=${label}>
    ${options.map(
      ([value, text]) =>
        html`<button
          type="button"
          data-value=${value}
          aria-pressed=${order.draft[name] === value ? "true" : "false"}
          @click=${() => set(order, { [name]: value })}
        >
          ${text}
        </button>`,
    )}
  </div>`;
}

/** @param {TicketOrder} order */
function quantity(order) {
  const { sizing, units, entry } = order.draft;
  const isKnown = units !== null && !Number.isNaN(units) && entry;
  const worth = isKnown ? `worth ₹${price(units * entry)}` : "";
  const text = sizing === "units" ? worth : isKnown ? `${whole(units)} units, ${worth}` : "";
  const label = { units: "Quantity", value: "Rupees to use", risk: "Lose at most" }[sizing];
  return html`<div>
    ${choice(order, "Quantity by", "sizing", SIZINGS)} ${field(order, "amount", label)}
    <p class="small muted hint">${text || "\u00a0"}</p>
  </div>`;
}

/**
 * @param {TicketOrder} order
 * @param {"stop_loss" | "target_price"} name
 */
function level(order, name) {
  const isBelow = (name === "stop_loss") === (order.draft.side === "BUY");
  return html`<div>
    ${field(order, name)}
    <div class="chips">
      ${DISTANCES.map((distance) => {
        const label = `${isBelow ? "−" : "+"}${distance}%`;
        return html`<button
          type="button"
          class="plain small"
          aria-label=${`${LABELS[name]} ${label} from the price`}
          @click=${() => setLevel(order, name, isBelow ? -distance : distance)}
        >
          ${label}
        </button>`;
      })}
    </div>
  </div>`;
}

/** @param {TicketOrder} order */
function trailing(order) {
  const { isTrailingPercent } = order.draft;
  const unit = isTrailingPercent ? "per cent" : "rupees";
  return html`<div class="with-unit">
    ${field(order, "trailing")}
    <button
      type="button"
      aria-label=${`The trailing stop is in ${unit}. Change the unit`}
      @click=${() => set(order, { isTrailingPercent: !isTrailingPercent })}
    >
      ${isTrailingPercent ? "%" : "₹"}
    </button>
  </div>`;
}

/**
 * @param {TicketOrder} order
 * @param {boolean} isOfPair
 */
function validity(order, isOfPair) {
  const { orderType, validity: chosen } = order.draft;
  if (orderType === "MARKET") return html`<span></span>`;
  /** @type {TimeInForce[]} */
  const values = orderType === "LIMIT" && !isOfPair ? ["GTC", "DAY", "IOC"] : ["GTC", "DAY"];
  const choose = (/** @type {Event} */ event) =>
    set(order, { validity: /** @type {HTMLSelectElement} */ (event.target).value });
  return html`<div class="field">
    <label for="validity">Validity</label>
    <select id="validity" @change=${choose}>
      ${values.map((each) => html`<option .selected=${each === chosen}>${each}</option>`)}
    </select>
    <span class="error">${order.faults.time_in_force ?? ""}</span>
  </div>`;
}

/**
 * @param {TicketOrder} order
 * @param {TicketField} name
 * @param {string} [label]
 */
function field(order, name, label = LABELS[name]) {
  const fault = order.faults[name];
  return html`<div class="field">
    <label for=${name}>${label}</label>
    <input
      id=${name}
      name=${name}
      inputmode="decimal"
      autocomplete="off"
      aria-invalid=${fault ? "true" : "false"}
      aria-describedby=${fault ? `fault-${name}` : nothing}
      .value=${order.draft.text[name]}
      @input=${(/** @type {Event} */ event) => write(order, name, event)}
      @keydown=${(/** @type {KeyboardEvent} */ event) => step(order, name, event)}
    />
    ${fault ? html`<span class="error" id=${`fault-${name}`}>${fault}</span>` : nothing}
  </div>`;
}

/**
 * @param {TicketOrder} order
 * @param {Record<string, unknown>} fields
 */
function set(order, fields) {
  if ("sizing" in fields) order.draft.text.amount = "";
  Object.assign(order.draft, fields);
  order.draftChanged();
}

/**
 * @param {TicketOrder} order
 * @param {TicketField} name
 * @param {Event} event
 */
function write(order, name, event) {
  order.draft.text[name] = /** @type {HTMLInputElement} */ (event.target).value;
  order.draftChanged();
}

/**
 * @param {TicketOrder} order
 * @param {"stop_loss" | "target_price"} name
 * @param {number} percent
 */
function setLevel(order, name, percent) {
  const { entry } = order.draft;
  if (!entry) return;
  const tick = instrument(store.get("symbol"))?.tick_size ?? 0.05;
  order.draft.text[name] = String(priceAt(entry, percent, tick));
  order.draftChanged();
}

/**
 * Step a number by a lot or a tick with the arrow keys.
 * @param {TicketOrder} order
 * @param {TicketField} name
 * @param {KeyboardEvent} event
 */
function step(order, name, event) {
  const { draft } = order;
  const sign = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  const found = instrument(store.get("symbol"));
  if (!sign || !found) return;
  event.preventDefault();
  const isUnits = name === "amount" && draft.sizing === "units";
  const size = isUnits ? found.lot_size : name === "amount" ? 100 : found.tick_size;
  const start = draft.number(name) ?? (name === "amount" ? 0 : (draft.entry ?? 0));
  draft.text[name] = String(Number(Math.max(0, start + sign * size).toFixed(2)));
  order.draftChanged();
}
