/**
 * The bar at the top: indices, the state of market and account, and the user's controls.
 * @module
 */
import { signOut } from "./account.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { arrow, percent, price, rupees, shortName, signed, trend } from "./format.js";
import { isStale, origin } from "./freshness.js";
import "./notification-bell.js";
import { icon } from "./icons.js";
import { openProfit } from "./profit.js";
import { showShortcuts } from "./shortcut-help.js";
import { store } from "./store.js";
import { choose } from "./symbols.js";
import { nextTheme } from "./theme.js";

/** The server sends their prices to everyone. */
const INDICES = ["^NSEI", "^BSESN"];

export class TopBar extends DeskElement {
  static watches = [
    ...INDICES.map((symbol) => `quote:${symbol}`),
    ...["user", "portfolio", "trades", "quotes", "market", "theme", "connection", "clock"],
  ];
  static styles = [
    shared,
    css`
      :host {
        display: flex;
        gap: 4px 20px;
        align-items: center;
        min-height: 44px;
        padding: 4px 12px;
        border-bottom: 1px solid var(--line);
        background: var(--panel);
      }
      img {
        display: block;
      }
      .brand {
        display: flex;
        gap: 8px;
        align-items: center;
        font-weight: 650;
        letter-spacing: -0.01em;
      }
      .index {
        padding: 0 4px;
        text-align: start;
      }
      .index .muted {
        margin-inline-end: 6px;
        font-weight: 500;
      }
      .figures {
        display: flex;
        gap: 20px;
        margin: 0 0 0 auto;
      }
      dt {
        color: var(--muted);
        font-size: var(--size-s);
        line-height: 1.2;
      }
      dd {
        margin: 0;
        font-weight: 600;
        line-height: 1.3;
      }
      .controls {
        display: flex;
        gap: 2px;
        align-items: center;
      }
      .tag,
      .figures {
        white-space: nowrap;
      }
      .icon {
        min-width: 32px;
        padding: 0 6px;
        line-height: 0;
      }
      @media (max-width: 1180px) {
        .brand span,
        .index.second {
          display: none;
        }
      }
      @media (max-width: 960px) {
        :host,
        .figures {
          gap: 4px 14px;
        }
        .realized {
          display: none;
        }
      }
      @media (max-width: 760px) {
        :host {
          gap: 8px;
          padding: 4px 8px;
        }
        .index,
        .wide {
          display: none;
        }
        .figures {
          flex: 1;
          gap: 14px;
          margin: 0;
        }
        dd {
          font-size: var(--size-m);
        }
      }
    `,
  ];

  render() {
    return html`
      <div class="brand">
        <img src="/desk/icon.svg" alt="Paper Trading Desk" width="22" height="22" />
        <span aria-hidden="true">Paper Desk</span>
      </div>
      ${INDICES.map((symbol, place) => this.#index(symbol, place))} ${this.#market()}
      ${this.#figures()}
      <div class="controls">
        <notification-bell></notification-bell>
        ${this.#button(
          store.get("theme"),
          `Theme: ${store.get("theme")}. Choose the next one`,
          nextTheme,
        )}
        ${this.#button("help", "Keyboard shortcuts", showShortcuts, "wide")}
        ${this.#button("leave", `Sign out ${store.get("user")?.clientId ?? ""}`, () => void signOut())}
      </div>
    `;
  }

  /**
   * @param {string} symbol
   * @param {number} place
   */
  #index(symbol, place) {
    const quote = store.quote(symbol);
    return html`<button
      class=${`plain index ${place ? "second" : ""}`}
      title=${origin(quote)}
      @click=${() => choose(symbol)}
    >
      <span class="muted">${shortName(symbol)}</span>
      <span class=${isStale(quote) ? "muted" : trend(quote?.change)}>
        ${price(quote?.price)} ${arrow(quote?.change)}
        <span class="small"
          >${quote?.change_pct === undefined ? "" : percent(quote.change_pct)}</span
        >
      </span>
    </button>`;
  }

  #market() {
    const market = store.get("market");
    const isSimulated = INDICES.some((symbol) => store.quote(symbol)?.source === "mock");
    return html`
      ${isSimulated ? html`<span class="tag warn wide">Simulated prices</span>` : nothing}
      ${market?.enforced && !market.open ? html`<span class="tag wide">Market closed</span>` : nothing}
    `;
  }

  #figures() {
    const portfolio = store.get("portfolio");
    if (!portfolio) return html`<span class="figures"></span>`;
    const profit = openProfit();
    const equity = portfolio.available_margin + portfolio.utilized_margin + (profit ?? 0);
    return html`
      <dl class="figures">
        <div class="wide">
          <dt>Equity</dt>
          <dd>${rupees(equity)}</dd>
        </div>
        <div>
          <dt>Available</dt>
          <dd>${rupees(portfolio.available_margin)}</dd>
        </div>
        <div>
          <dt>Open P&amp;L</dt>
          <dd class=${trend(profit)}>${signed(profit ?? 0)} ${arrow(profit)}</dd>
        </div>
        <div class="wide realized">
          <dt>Realized P&amp;L</dt>
          <dd class=${trend(portfolio.total_pnl)}>
            ${signed(portfolio.total_pnl)} ${arrow(portfolio.total_pnl)}
          </dd>
        </div>
      </dl>
    `;
  }

  /**
   * @param {import("./icons.js").Icon} name
   * @param {string} label
   * @param {() => void} run
   * @param {string} [kind]
   */
  #button(name, label, run, kind = "") {
    const type = `plain icon ${kind}`;
    return html`<button class=${type} aria-label=${label} title=${label} @click=${run}>
      ${icon(name)}
    </button>`;
  }
}

customElements.define("top-bar", TopBar);
