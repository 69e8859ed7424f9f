/**
 * The menu of a price in the chart: orders and an alert at that price.
 * @module
 */
import { createAlert } from "./alerts.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { price } from "./format.js";
import { store } from "./store.js";
import { openTicket } from "./symbols.js";

/** @typedef {{x: number, y: number, at: number}} Place where the menu is, in pixels, and its price */

/**
 * Return what can be ordered at a price: limits on the better side of the last one, stops beyond.
 * @param {number} at
 * @param {number} last
 * @returns {{side: Side, orderType: OrderType, label: string}[]}
 */
export function ordersAt(at, last) {
  const [limit, stop] = /** @type {Side[]} */ (at < last ? ["BUY", "SELL"] : ["SELL", "BUY"]);
  const name = (/** @type {Side} */ side) => (side === "BUY" ? "Buy" : "Sell");
  return [
    { side: limit, orderType: "LIMIT", label: `${name(limit)} at a limit of ${price(at)}` },
    { side: stop, orderType: "STOP", label: `${name(stop)} at a stop of ${price(at)}` },
  ];
}

export class ChartMenu extends DeskElement {
  static properties = { place: { attribute: false } };
  static styles = [
    shared,
    css`
      .menu {
        position: absolute;
        z-index: 5;
        display: grid;
        min-width: 190px;
        padding: 4px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--panel);
        box-shadow: var(--shadow);
      }
      button {
        border: 0;
        background: none;
        text-align: start;
      }
      button:is(:hover, :focus-visible) {
        background: var(--hover);
      }
    `,
  ];

  constructor() {
    super();
    /** @type {Place | null} */
    this.place = null;
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("pointerdown", this.#pressed);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("pointerdown", this.#pressed);
  }

  render() {
    const symbol = store.get("symbol");
    const last = store.quote(symbol)?.price;
    if (!this.place || last === undefined) return nothing;
    const { at } = this.place;
    return html`<div class="menu" role="menu" aria-label=${`At ${price(at)}`} @keydown=${this.#key}>
      ${ordersAt(at, last).map(({ side, orderType, label }) =>
        this.#item(label, () => {
          const level = orderType === "LIMIT" ? { limitPrice: at } : { stopPrice: at };
          openTicket(symbol, side, { orderType, ...level });
        }),
      )}
      ${this.#item(`Alert at ${price(at)}`, () =>
        createAlert(symbol, at > last ? { above: at } : { below: at }),
      )}
    </div>`;
  }

  /**
   * @param {string} label
   * @param {() => unknown} run
   */
  #item(label, run) {
    return html`<button role="menuitem" @click=${() => void this.#run(run)}>${label}</button>`;
  }

  updated() {
    const menu = /** @type {HTMLElement | null} */ (this.renderRoot.querySelector(".menu"));
    if (!menu || !this.place) return;
    const room = /** @type {HTMLElement} */ (this.parentElement ?? menu.offsetParent);
    const area = room.getBoundingClientRect();
    menu.style.left = `${Math.max(0, Math.min(this.place.x, area.width - menu.offsetWidth))}px`;
    menu.style.top = `${Math.max(0, Math.min(this.place.y, area.height - menu.offsetHeight))}px`;
    menu.querySelector("button")?.focus();
  }

  #close() {
    this.dispatchEvent(new CustomEvent("close"));
  }

  /** @param {() => unknown} run */
  async #run(run) {
    this.#close();
    try {
      await run();
    } catch (error) {
      store.emit("toast", { kind: "error", text: String(Object(error).message) });
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") this.#close();
    else if (step) {
      const items = [...this.renderRoot.querySelectorAll("button")];
      const place = items.findIndex((item) => item.matches(":focus"));
      items[(place + step + items.length) % items.length].focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #pressed = (/** @type {PointerEvent} */ event) => {
    if (this.place && !event.composedPath().includes(this)) this.#close();
  };
}

customElements.define("chart-menu", ChartMenu);
