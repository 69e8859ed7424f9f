/**
 * The order ticket: writes an order, shows what it would cost, and places it.
 * @module
 */
import { DeskElement, html, nothing, shared } from "./element.js";
import { describePlaced } from "./evidence.js";
import { price, shortName, whole } from "./format.js";
import { priceAt } from "./sizing.js";
import { store } from "./store.js";
import { instrument } from "./symbols.js";
import { Draft, ENTRY_PRICES } from "./ticket-draft.js";
import { ticketStyles } from "./ticket-styles.js";
import { TicketServer } from "./ticket-server.js";
import "./ticket-head.js";
import "./ticket-summary.js";

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
const PLACED_AS = {
  MARKET: "at market",
  LIMIT: "at a limit",
  STOP: "at a stop",
  STOP_LIMIT: "at a stop limit",
};

/** @typedef {import("./ticket-draft.js").TicketField} TicketField */

export class OrderTicket extends DeskElement {
  static styles = [shared, ticketStyles];

  draft = new Draft();
  server = new TicketServer(this.draft, () => this.requestUpdate());
  #symbol = "";
  /** Whether the first quantity, one lot, waits for the instrument. */
  #needsAmount = true;
  /** @type {TicketRequest | null} */
  #request = null;

  watchedKeys() {
    return ["ticket", "instruments", "portfolio", `quote:${store.get("symbol")}`, "symbol"];
  }

  render() {
    const { draft } = this;
    return html`
      <form
        novalidate
        data-side=${draft.side}
        @submit=${(/** @type {Event} */ event) => this.#submit(event)}
        @keydown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.#close()}
      >
        <ticket-head @close=${() => this.#close()}></ticket-head>
        ${this.#choice("Side", "side", [
          ["BUY", "Buy"],
          ["SELL", "Sell"],
        ])}
        ${this.#choice("Order type", "orderType", ORDER_TYPES)} ${this.#quantity()}
        ${ENTRY_PRICES[draft.orderType].map((field) => this.#field(field))}
        <fieldset class="pair">
          <legend class="hidden-text">Protection</legend>
          ${this.#level("stop_loss")} ${this.#level("target_price")}
        </fieldset>
        <div class="pair">${this.#trailing()} ${this.#validity()}</div>
        <ticket-summary .preview=${this.server.preview}></ticket-summary>
        ${this.#place()}
      </form>
    `;
  }

  /**
   * @param {string} label
   * @param {"side" | "orderType" | "sizing"} field
   * @param {[string, string][]} options
   */
  #choice(label, field, options) {
    return html`<div class=${`choice ${field}`} role="group" aria-label=${label}>
      ${options.map(
        ([value, name]) =>
          html`<button
            type="button"
            data-value=${value}
            aria-pressed=${this.draft[field] === value ? "true" : "false"}
            @click=${() => this.#set({ [field]: value })}
          >
            ${name}
          </button>`,
      )}
    </div>`;
  }

  #quantity() {
    const { sizing, units, entry } = this.draft;
    const isKnown = units !== null && !Number.isNaN(units) && entry;
    const worth = isKnown ? `worth ₹${price(units * entry)}` : "";
    const text = sizing === "units" ? worth : isKnown ? `${whole(units)} units, ${worth}` : "";
    return html`<div>
      ${this.#choice("Quantity by", "sizing", SIZINGS)}
      ${this.#field("amount", { units: "Quantity", value: "Rupees to use", risk: "Lose at most" }[sizing])}
      <p class="small muted hint">${text || "\u00a0"}</p>
    </div>`;
  }

  /** @param {"stop_loss" | "target_price"} field */
  #level(field) {
    const isBelow = (field === "stop_loss") === (this.draft.side === "BUY");
    return html`<div>
      ${this.#field(field)}
      <div class="chips">
        ${DISTANCES.map((distance) => {
          const label = `${isBelow ? "−" : "+"}${distance}%`;
          return html`<button
            type="button"
            class="plain small"
            aria-label=${`${LABELS[field]} ${label} from the price`}
            @click=${() => this.#setLevel(field, isBelow ? -distance : distance)}
          >
            ${label}
          </button>`;
        })}
      </div>
    </div>`;
  }

  #trailing() {
    const { isTrailingPercent } = this.draft;
    const unit = isTrailingPercent ? "per cent" : "rupees";
    return html`<div class="with-unit">
      ${this.#field("trailing")}
      <button
        type="button"
        aria-label=${`The trailing stop is in ${unit}. Change the unit`}
        @click=${() => this.#set({ isTrailingPercent: !isTrailingPercent })}
      >
        ${isTrailingPercent ? "%" : "₹"}
      </button>
    </div>`;
  }

  #validity() {
    const { orderType, validity } = this.draft;
    if (orderType === "MARKET") return html`<span></span>`;
    /** @type {TimeInForce[]} */
    const values = orderType === "LIMIT" ? ["GTC", "DAY", "IOC"] : ["GTC", "DAY"];
    const chosen = (/** @type {Event} */ event) =>
      this.#set({ validity: /** @type {HTMLSelectElement} */ (event.target).value });
    return html`<div class="field">
      <label for="validity">Validity</label>
      <select id="validity" @change=${chosen}>
        ${values.map((each) => html`<option ?selected=${each === validity}>${each}</option>`)}
      </select>
      <span class="error">${this.server.faults.time_in_force ?? ""}</span>
    </div>`;
  }

  /**
   * @param {TicketField} field
   * @param {string} [label]
   */
  #field(field, label = LABELS[field]) {
    const fault = this.server.faults[field];
    return html`<div class="field">
      <label for=${field}>${label}</label>
      <input
        id=${field}
        name=${field}
        inputmode="decimal"
        autocomplete="off"
        aria-invalid=${fault ? "true" : "false"}
        aria-describedby=${fault ? `fault-${field}` : nothing}
        .value=${this.draft.text[field]}
        @input=${(/** @type {Event} */ event) => this.#write(field, event)}
        @keydown=${(/** @type {KeyboardEvent} */ event) => this.#step(field, event)}
      />
      ${fault ? html`<span class="error" id=${`fault-${field}`}>${fault}</span>` : nothing}
    </div>`;
  }

  #place() {
    const { draft, server } = this;
    const verb = draft.side === "BUY" ? "Buy" : "Sell";
    const units = draft.units && !Number.isNaN(draft.units) ? ` ${whole(draft.units)}` : "";
    const isOff = server.isBusy || server.isRefused || draft.missing !== "";
    const style = server.message && !draft.missing ? "error" : "small muted";
    return html`<div class="place">
      <button aria-describedby="reason" ?disabled=${isOff}>
        ${verb}${units} ${shortName(store.get("symbol"))} ${PLACED_AS[draft.orderType]}
      </button>
      <p id="reason" class=${style} role="status">${draft.missing || server.message}</p>
    </div>`;
  }

  updated() {
    const request = store.get("ticket");
    if (store.get("symbol") !== this.#symbol) {
      if (this.#symbol) this.draft.clearPrices();
      this.#symbol = store.get("symbol");
      this.watch(...this.watchedKeys());
      this.server.draftChanged();
    }
    if (request !== this.#request) {
      this.#request = request;
      this.draft.take(request);
      this.server.draftChanged();
      if (request.isOpen) this.renderRoot.querySelector("input")?.select();
    }
    if (this.#needsAmount && instrument(this.#symbol)) {
      this.#needsAmount = false;
      this.draft.text.amount ||= String(this.draft.lot);
      this.server.draftChanged();
    }
    this.server.priceMoved();
  }

  /** @param {Record<string, unknown>} fields */
  #set(fields) {
    if ("sizing" in fields) this.draft.text.amount = "";
    Object.assign(this.draft, fields);
    this.server.draftChanged();
  }

  /**
   * @param {TicketField} field
   * @param {Event} event
   */
  #write(field, event) {
    this.draft.text[field] = /** @type {HTMLInputElement} */ (event.target).value;
    this.server.draftChanged();
  }

  /**
   * @param {"stop_loss" | "target_price"} field
   * @param {number} percent
   */
  #setLevel(field, percent) {
    const { entry } = this.draft;
    if (!entry) return;
    const tick = instrument(this.#symbol)?.tick_size ?? 0.05;
    this.draft.text[field] = String(priceAt(entry, percent, tick));
    this.server.draftChanged();
  }

  /**
   * Step a number by a lot or a tick with the arrow keys.
   * @param {TicketField} field
   * @param {KeyboardEvent} event
   */
  #step(field, event) {
    const sign = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const found = instrument(this.#symbol);
    if (!sign || !found) return;
    event.preventDefault();
    const isUnits = field === "amount" && this.draft.sizing === "units";
    const size = isUnits ? found.lot_size : field === "amount" ? 100 : found.tick_size;
    const start = this.draft.number(field) ?? (field === "amount" ? 0 : (this.draft.entry ?? 0));
    this.draft.text[field] = String(Number(Math.max(0, start + sign * size).toFixed(2)));
    this.server.draftChanged();
  }

  /** @param {Event} event */
  async #submit(event) {
    event.preventDefault();
    const trade = await this.server.place();
    if (!trade) return;
    store.emit("toast", { kind: "success", text: describePlaced(trade) });
    const isOpen = trade.status === "ACTIVE";
    store.set("tab", isOpen ? "trades" : "orders");
    store.set("ticket", { side: this.draft.side, isOpen: false });
    store.set("view", "trades");
  }

  #close() {
    store.set("ticket", { side: this.draft.side, isOpen: false });
    if (store.get("view") === "ticket") store.set("view", "watch");
  }
}

customElements.define("order-ticket", OrderTicket);
