/**
 * The head of the order ticket: the symbol, its price, and the button that closes the ticket.
 * @module
 */
import { css, DeskElement, html, shared } from "./element.js";
import { price, shortName, trend } from "./format.js";
import { isStale, origin } from "./freshness.js";
import { icon } from "./icons.js";
import { store } from "./store.js";
import { instrument } from "./symbols.js";

export class TicketHead extends DeskElement {
  static styles = [
    shared,
    css`
      :host {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto auto;
        gap: 8px;
        align-items: center;
        margin: 0 -12px;
        padding: 8px 12px;
        border-bottom: 1px solid var(--line);
      }
      strong {
        font-size: 15px;
        font-weight: 600;
      }
      h2 {
        font-size: var(--size-l);
      }
      button {
        padding: 0 4px;
        line-height: 0;
      }
      .stale {
        color: var(--muted);
      }
      @media (min-width: 1081px) {
        button {
          display: none;
        }
      }
    `,
  ];

  #symbol = "";

  watchedKeys() {
    return ["symbol", "instruments", "connection", "clock", `quote:${store.get("symbol")}`];
  }

  render() {
    const symbol = store.get("symbol");
    const quote = store.quote(symbol);
    const found = instrument(symbol);
    return html`
      <div>
        <h2>${shortName(symbol)}</h2>
        <p class="small muted">
          ${found ? `${found.exchange} · lot of ${found.lot_size}` : "\u00a0"}
        </p>
      </div>
      <strong class=${isStale(quote) ? "stale" : trend(quote?.change)} title=${origin(quote)}>
        ${price(quote?.price)}
      </strong>
      <button
        type="button"
        class="plain"
        aria-label="Close the ticket"
        @click=${() => this.dispatchEvent(new CustomEvent("close"))}
      >
        ${icon("close", 16)}
      </button>
    `;
  }

  updated() {
    if (store.get("symbol") === this.#symbol) return;
    this.#symbol = store.get("symbol");
    this.watch(...this.watchedKeys());
  }
}

customElements.define("ticket-head", TicketHead);
