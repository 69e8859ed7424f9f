/**
 * The head of the chart: the chosen symbol, its price, the figures of its day.
 * @module
 */
import { css, DeskElement, html, shared } from "./element.js";
import { FollowedSymbols } from "./followed-symbols.js";
import { change, price, shortName, trend, whole } from "./format.js";
import { isStale, origin } from "./freshness.js";
import { icon } from "./icons.js";
import { store } from "./store.js";
import { instrument, openTicket, readInstrument } from "./symbols.js";
import { addSymbol, removeSymbol, shownList } from "./watch-lists.js";

export class SymbolHeader extends DeskElement {
  static styles = [
    shared,
    css`
      :host {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 20px;
        align-items: center;
        padding: 8px 12px;
        border-bottom: 1px solid var(--line);
        background: var(--panel);
      }
      h2 {
        font-size: 15px;
        letter-spacing: -0.01em;
      }
      .last {
        font-size: var(--size-xl);
        font-weight: 600;
        line-height: 1.2;
        letter-spacing: -0.02em;
      }
      .stale {
        color: var(--muted);
      }
      dl {
        display: flex;
        flex: 1 1 100%;
        flex-wrap: wrap;
        order: 1;
        gap: 2px 16px;
        margin: 0;
      }
      @media (min-width: 1600px) {
        dl {
          flex: 0 1 auto;
          order: 0;
        }
      }
      dl div {
        display: flex;
        gap: 5px;
      }
      dt {
        color: var(--muted);
      }
      dd {
        margin: 0;
      }
      .sides {
        display: flex;
        gap: 6px;
        margin-inline-start: auto;
      }
      .star.listed {
        color: var(--accent);
      }
      .star.listed path {
        fill: currentColor;
      }
      .sides button {
        min-width: 64px;
        border: 0;
        font-weight: 600;
      }
      .sides button.star {
        min-width: 32px;
        padding: 0;
        color: var(--muted);
        line-height: 0;
      }
      .buy {
        background: var(--accent);
        color: var(--on-accent);
      }
      .sell {
        background: var(--down);
        color: var(--on-fill);
      }
    `,
  ];

  #followed = new FollowedSymbols();

  watchedKeys() {
    return [
      "symbol",
      "instruments",
      "lists",
      "listId",
      "connection",
      "clock",
      `quote:${store.get("symbol")}`,
    ];
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#followed.clear();
  }

  render() {
    const symbol = store.get("symbol");
    const quote = store.quote(symbol);
    return html`
      <div>
        <h2>${shortName(symbol)}</h2>
        <p class="muted small">${this.#name(symbol)}</p>
      </div>
      <div title=${origin(quote)}>
        <p class=${`last ${isStale(quote) ? "stale" : trend(quote?.change)}`}>
          ${price(quote?.price)}
        </p>
        <p class=${`small ${trend(quote?.change)}`}>${change(quote)}</p>
      </div>
      ${this.#day(quote)}
      <div class="sides">
        ${this.#star(symbol)}
        <button class="buy" @click=${() => openTicket(symbol, "BUY")}>Buy</button>
        <button class="sell" @click=${() => openTicket(symbol, "SELL")}>Sell</button>
      </div>
    `;
  }

  /** @param {string} symbol */
  #star(symbol) {
    const isListed = shownList()?.symbols.includes(symbol) ?? false;
    const label = isListed ? "Remove from the watchlist" : "Add to the watchlist";
    return html`<button
      class=${`plain star ${isListed ? "listed" : ""}`}
      aria-label=${label}
      title=${label}
      @click=${() => void (isListed ? removeSymbol : addSymbol)(symbol)}
    >
      ${icon("star")}
    </button>`;
  }

  /** @param {string} symbol */
  #name(symbol) {
    const found = instrument(symbol);
    return found ? `${found.name} · ${found.exchange}` : symbol;
  }

  /** @param {Quote | undefined} quote */
  #day(quote) {
    /** @type {[string, string | undefined][]} */
    const figures = [
      ["Open", quote?.open && price(quote.open)],
      ["High", quote?.high && price(quote.high)],
      ["Low", quote?.low && price(quote.low)],
      ["Prev. close", quote?.previous_close && price(quote.previous_close)],
      ["Volume", quote?.volume && whole(quote.volume)],
    ].map(([name, value]) => [String(name), value ? String(value) : undefined]);
    const known = figures.filter(([, value]) => value !== undefined);
    return html`<dl class="small">
      ${known.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
      <div>
        <dt>Source</dt>
        <dd>${origin(quote)}</dd>
      </div>
    </dl>`;
  }

  updated() {
    const symbol = store.get("symbol");
    if (!this.#followed.set([symbol])) return;
    this.watch(...this.watchedKeys());
    void readInstrument(symbol).catch(() => {});
  }
}

customElements.define("symbol-header", SymbolHeader);
