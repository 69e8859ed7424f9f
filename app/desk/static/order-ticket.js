/**
 * The order ticket: writes an order or a pair, shows what it would cost, and places it.
 * @module
 */
import { DeskElement, html, nothing, shared } from "./element.js";
import { describePair, describePlaced } from "./evidence.js";
import { rupees, shortName, whole } from "./format.js";
import { store } from "./store.js";
import { instrument } from "./symbols.js";
import { orderFields } from "./ticket-fields.js";
import { TicketOrders } from "./ticket-orders.js";
import { ticketStyles } from "./ticket-styles.js";
import "./ticket-head.js";
import "./ticket-summary.js";

const PLACED_AS = {
  MARKET: "at market",
  LIMIT: "at a limit",
  STOP: "at a stop",
  STOP_LIMIT: "at a stop limit",
};

export class OrderTicket extends DeskElement {
  static styles = [shared, ticketStyles];

  orders = new TicketOrders(() => this.requestUpdate());
  #symbol = "";
  /** Whether the first quantity of a symbol, one lot, waits for the instrument. */
  #needsAmount = true;
  /** @type {TicketRequest | null} */
  #request = null;

  watchedKeys() {
    return ["ticket", "instruments", "portfolio", `quote:${store.get("symbol")}`, "symbol"];
  }

  render() {
    const { current, isPair } = this.orders;
    return html`
      <form
        novalidate
        data-side=${current.draft.side}
        @submit=${(/** @type {Event} */ event) => this.#submit(event)}
        @keydown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.#close()}
      >
        <ticket-head @close=${() => this.#close()}></ticket-head>
        ${isPair ? this.#pair() : nothing} ${orderFields(current, isPair)}
        ${
          isPair
            ? nothing
            : html`<button type="button" class="plain add" @click=${() => this.orders.pair()}>
                + Pair it with another order (OCO)
              </button>`
        }
        <ticket-summary .preview=${current.preview}></ticket-summary>
        ${this.#place()}
      </form>
    `;
  }

  /** The choice of the order of a pair that is being written. */
  #pair() {
    const { orders } = this;
    const margin = orders.marginOfBoth;
    const together = margin === null ? "" : `, ${rupees(margin)} together`;
    return html`<div class="orders">
      <div class="choice" role="group" aria-label="Order of the pair">
        ${orders.all.map(
          ({ draft }, place) =>
            html`<button
              type="button"
              aria-pressed=${place === orders.shown ? "true" : "false"}
              @click=${() => orders.show(place)}
            >
              ${place + 1}: ${draft.side === "BUY" ? "Buy" : "Sell"} ${PLACED_AS[draft.orderType]}
            </button>`,
        )}
      </div>
      <p class="small muted">
        The first to fill cancels the other. Until then both block margin${together}.
      </p>
      <button type="button" class="plain small" @click=${() => orders.unpair()}>
        Keep only order ${orders.shown + 1}
      </button>
    </div>`;
  }

  #place() {
    const { orders } = this;
    const isOff = orders.isBusy || orders.isRefused || orders.missing !== "";
    const style = orders.message && !orders.missing ? "error" : "small muted";
    return html`<div class="place">
      <button aria-describedby="reason" ?disabled=${isOff}>
        ${orders.isPair ? `Place both orders of ${shortName(store.get("symbol"))}` : this.#what()}
      </button>
      <p id="reason" class=${style} role="status">${orders.missing || orders.message}</p>
    </div>`;
  }

  #what() {
    const { draft } = this.orders.current;
    const verb = draft.side === "BUY" ? "Buy" : "Sell";
    const units = draft.units && !Number.isNaN(draft.units) ? ` ${whole(draft.units)}` : "";
    return `${verb}${units} ${shortName(store.get("symbol"))} ${PLACED_AS[draft.orderType]}`;
  }

  updated() {
    const request = store.get("ticket");
    const { orders } = this;
    if (store.get("symbol") !== this.#symbol) {
      if (this.#symbol) for (const { draft } of orders.all) draft.clearPrices();
      this.#needsAmount = true;
      this.#symbol = store.get("symbol");
      this.watch(...this.watchedKeys());
      orders.changed();
    }
    if (request !== this.#request) {
      this.#request = request;
      // An order at the market does not wait, so it cannot be of a pair.
      if (request.orderType === "MARKET" && orders.isPair) orders.unpair();
      orders.current.draft.take(request);
      orders.current.draftChanged();
      if (request.isOpen) this.renderRoot.querySelector("input")?.select();
    }
    if (this.#needsAmount && instrument(this.#symbol)) {
      this.#needsAmount = false;
      for (const { draft } of orders.all) {
        if (draft.sizing === "units") draft.text.amount ||= String(draft.lot);
      }
      orders.changed();
    }
    orders.priceMoved();
  }

  /** @param {Event} event */
  async #submit(event) {
    event.preventDefault();
    const trades = await this.orders.place();
    if (!trades) return;
    const [first, second] = trades;
    const text = second ? describePair(first, second) : describePlaced(first);
    store.emit("toast", { kind: "success", text });
    store.set("tab", first.status === "ACTIVE" ? "trades" : "orders");
    this.#close();
    store.set("view", "trades");
  }

  #close() {
    store.set("ticket", { side: this.orders.current.draft.side, isOpen: false });
    if (store.get("view") === "ticket") store.set("view", "watch");
  }
}

customElements.define("order-ticket", OrderTicket);
