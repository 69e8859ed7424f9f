/**
 * One row of the watchlist: a symbol, its change and its price.
 * @module
 */
import { css, DeskElement, html, shared } from "./element.js";
import { change, price, shortName, trend } from "./format.js";
import { isStale, origin } from "./freshness.js";
import { store } from "./store.js";
import { choose, instrument, openTicket } from "./symbols.js";

/** How long a changed price is marked, in milliseconds. */
const FLASH = 350;
const REDUCED_MOTION = matchMedia("(prefers-reduced-motion: reduce)");

export class WatchRow extends DeskElement {
  static properties = {
    symbol: {},
    isCurrent: { attribute: false },
    isEntry: { attribute: false },
  };
  static styles = [
    shared,
    css`
      :host {
        position: relative;
        contain: layout paint;
      }
      .row {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 8px;
        align-items: center;
        width: 100%;
        min-height: 38px;
        padding: 3px 12px;
        border: 0;
        border-bottom: 1px solid var(--line);
        border-radius: 0;
        background: none;
        text-align: start;
      }
      :host(:hover) .row,
      .row:focus-visible {
        background: var(--hover);
      }
      .row:focus-visible {
        outline-offset: -2px;
      }
      .current {
        box-shadow: inset 3px 0 var(--accent);
      }
      .name {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      strong {
        font-weight: 550;
      }
      .name .muted {
        display: block;
        overflow: hidden;
        font-size: var(--size-s);
        line-height: 1.2;
        text-overflow: ellipsis;
      }
      .change {
        display: block;
        font-size: var(--size-s);
        line-height: 1.2;
      }
      .last {
        border-radius: 3px;
        font-weight: 550;
      }
      .last[data-flash="up"] {
        background: var(--up-soft);
      }
      .last[data-flash="down"] {
        background: var(--down-soft);
      }
      .stale {
        color: var(--muted);
      }
      .actions {
        position: absolute;
        inset-block: 0;
        inset-inline-end: 116px;
        display: none;
        gap: 4px;
        align-items: center;
        padding-inline: 16px 4px;
        pointer-events: none;
        background: linear-gradient(90deg, transparent, var(--hover) 12px);
      }
      .current + .actions,
      :host(:focus-within) .actions {
        display: flex;
      }
      @media (hover: hover) {
        .current + .actions {
          display: none;
        }
        :host(:hover) .actions,
        :host(:focus-within) .actions {
          display: flex;
        }
      }
      /* Larger letters make the figures beside the buttons wider. */
      @media (pointer: coarse) {
        .actions {
          inset-inline-end: 136px;
        }
      }
      .actions button {
        min-width: 28px;
        pointer-events: auto;
        padding: 0 6px;
        border-color: transparent;
        color: var(--on-accent);
        font-weight: 650;
      }
      .buy {
        background: var(--accent);
      }
      .actions .sell {
        background: var(--down);
        color: var(--on-fill);
      }
    `,
  ];

  constructor() {
    super();
    this.symbol = "";
    this.isCurrent = false;
    /** Whether Tab leads to this row; the arrow keys lead to the others. */
    this.isEntry = false;
    /** @type {number | undefined} */
    this.shownPrice = undefined;
  }

  #timer = 0;

  watchedKeys() {
    return [`quote:${this.symbol}`, "instruments", "connection", "clock"];
  }

  render() {
    const quote = store.quote(this.symbol);
    const name = instrument(this.symbol)?.name ?? this.symbol;
    return html`
      <button
        class=${`row ${this.isCurrent ? "current" : ""}`}
        tabindex=${this.isEntry ? 0 : -1}
        aria-current=${this.isCurrent ? "true" : "false"}
        aria-keyshortcuts="B S Delete Alt+ArrowUp Alt+ArrowDown"
        @pointerenter=${this.#describe}
        @focus=${this.#describe}
        @click=${() => choose(this.symbol)}
        @dblclick=${() => store.set("view", "chart")}
      >
        <span class="name">
          <strong>${shortName(this.symbol)}</strong>
          <span class="muted">${name}</span>
        </span>
        <span class="number">
          <span class=${`last ${isStale(quote) ? "stale" : trend(quote?.change)}`}>
            ${price(quote?.price)}
          </span>
          <span class=${`change ${trend(quote?.change)}`}> ${change(quote)} </span>
        </span>
      </button>
      <div class="actions">${this.#action("BUY", "B")} ${this.#action("SELL", "S")}</div>
    `;
  }

  /**
   * Say where the price comes from once somebody asks: the age would change with every price.
   * @param {Event} event
   */
  #describe(event) {
    const row = /** @type {HTMLElement} */ (event.currentTarget);
    row.title = origin(store.quote(this.symbol));
  }

  /**
   * @param {Side} side
   * @param {string} letter
   */
  #action(side, letter) {
    const label = `${side === "BUY" ? "Buy" : "Sell"} ${shortName(this.symbol)}`;
    return html`<button
      class=${side.toLowerCase()}
      tabindex="-1"
      aria-label=${label}
      title=${label}
      @click=${() => openTicket(this.symbol, side)}
    >
      ${letter}
    </button>`;
  }

  /** @param {import("/desk/vendor/@lit/reactive-element/reactive-element.js").PropertyValues} changed */
  updated(changed) {
    if (changed.has("symbol")) {
      this.watch(...this.watchedKeys());
      this.shownPrice = undefined;
    }
    const quote = store.quote(this.symbol);
    if (this.shownPrice !== undefined && quote && quote.price !== this.shownPrice) {
      this.#flash(quote.price > this.shownPrice);
    }
    this.shownPrice = quote?.price;
  }

  /** @param {boolean} isRise */
  #flash(isRise) {
    if (REDUCED_MOTION.matches) return;
    const shown = /** @type {HTMLElement} */ (this.renderRoot.querySelector(".last"));
    const flash = isRise ? "up" : "down";
    // No animation: with many ticks it would paint every row in every frame.
    if (shown.dataset.flash !== flash) shown.dataset.flash = flash;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => delete shown.dataset.flash, FLASH);
  }
}

customElements.define("watch-row", WatchRow);
