/**
 * The results at a glance: equity curve, margin, statistics, profit by day.
 * @module
 */
import { readEquity, readStatistics } from "./account-data.js";
import { ApiError } from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import "./equity-curve.js";
import { percent, price, rupees, signed, trend, whole } from "./format.js";
import "./profit-calendar.js";
import { equityNow } from "./profit.js";
import { store } from "./store.js";

const PERIODS = ["1D", "1W", "1M", "3M", "6M", "1Y", "ALL"];
/** Above this much of the margin in use the gauge warns, in per cent. */
const HIGH = 80;

export class AccountOverview extends DeskElement {
  static watches = ["portfolio", "portfolioName", "trades", "quotes"];
  static styles = [
    shared,
    css`
      :host {
        display: grid;
        grid-template-columns: minmax(0, 3fr) minmax(280px, 2fr);
        gap: 24px 32px;
      }
      @media (max-width: 900px) {
        :host {
          grid-template-columns: minmax(0, 1fr);
        }
      }
      .head {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 12px;
        align-items: center;
        margin-bottom: 8px;
      }
      .periods {
        display: flex;
        margin-inline-start: auto;
      }
      .periods button {
        padding: 2px 7px;
        color: var(--muted);
      }
      .periods [aria-pressed="true"] {
        background: var(--accent-soft);
        color: var(--accent);
        font-weight: 600;
      }
      dl {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(130px, 1fr));
        gap: 10px 16px;
        margin: 0;
      }
      dt {
        color: var(--muted);
        font-size: var(--size-s);
      }
      dd {
        margin: 0;
        font-weight: 600;
      }
      .gauge {
        margin-bottom: 20px;
      }
      .gauge p {
        display: flex;
        justify-content: space-between;
        margin-bottom: 5px;
      }
      svg {
        display: block;
        width: 100%;
        height: 8px;
        border-radius: 4px;
        background: var(--raised);
      }
      rect {
        fill: var(--accent);
      }
      rect.high {
        fill: var(--warn);
      }
    `,
  ];

  period = "1M";
  /** @type {import("./account-data.js").EquityPoint[]} */
  points = [];
  /** @type {Statistics | null} */
  statistics = null;
  message = "";
  /** The portfolio and period that were read last. */
  #read = "";

  render() {
    const equity = equityNow();
    return html`
      <section aria-labelledby="equity">
        <div class="head">
          <h2 id="equity">Equity</h2>
          ${equity === null ? nothing : html`<strong>${rupees(equity)}</strong>`}
          <div class="periods" role="group" aria-label="Period">
            ${PERIODS.map((period) => this.#button(period))}
          </div>
        </div>
        ${this.message ? html`<p class="error" role="alert">${this.message}</p>` : nothing}
        <equity-curve .points=${this.points} .equity=${equity}></equity-curve>
      </section>
      <section aria-label="Margin and statistics">${this.#gauge()} ${this.#figures()}</section>
      <section aria-label="Profit by day">
        <profit-calendar .days=${this.statistics?.by_day ?? []}></profit-calendar>
      </section>
    `;
  }

  /** @param {string} period */
  #button(period) {
    return html`<button
      class="plain"
      aria-pressed=${period === this.period ? "true" : "false"}
      @click=${() => this.change({ period })}
    >
      ${period === "ALL" ? "All" : period}
    </button>`;
  }

  #gauge() {
    const portfolio = store.get("portfolio");
    if (!portfolio) return nothing;
    const { available_margin: available, utilized_margin: utilized } = portfolio;
    const part = utilized > 0 ? Math.min(100, (utilized / (available + utilized)) * 100) : 0;
    return html`<div class="gauge">
      <p>
        <span>Margin in use <strong>${rupees(utilized)}</strong></span>
        <span class="muted">${rupees(available)} available</span>
      </p>
      <svg
        role="meter"
        aria-label="Margin in use"
        aria-valuemin="0"
        aria-valuemax="100"
        aria-valuenow=${part.toFixed(1)}
        aria-valuetext=${`${part.toFixed(1)} per cent`}
      >
        <rect class=${part > HIGH ? "high" : ""} width=${`${part}%`} height="8"></rect>
      </svg>
    </div>`;
  }

  #figures() {
    const all = this.statistics;
    if (!all) return nothing;
    return html`<dl>
      ${figure("Realized P&L", signed(all.total_pnl), trend(all.total_pnl))}
      ${figure("Closed trades", whole(all.closed_trades))}
      ${figure("Win rate", rate(all.win_rate_pct))}
      ${figure("Profit factor", price(all.profit_factor))}
      ${figure("Expectancy", signed(all.expectancy), trend(all.expectancy))}
      ${figure("Sharpe ratio", price(all.sharpe_ratio))}
      ${figure("Average win", signed(all.average_win), "up")}
      ${figure("Average loss", signed(all.average_loss), "down")}
      ${figure("Largest win", signed(all.largest_win), "up")}
      ${figure("Largest loss", signed(all.largest_loss), "down")}
      ${figure("Largest drawdown", signed(all.max_drawdown), trend(all.max_drawdown))}
      ${figure("Drawdown", percent(all.max_drawdown_pct), trend(all.max_drawdown_pct))}
      ${figure("Longest wins", whole(all.longest_winning_streak))}
      ${figure("Longest losses", whole(all.longest_losing_streak))}
    </dl>`;
  }

  updated() {
    const portfolio = store.get("portfolio");
    const wanted = `${store.get("portfolioName")} ${portfolio?.last_updated} ${this.period}`;
    if (!portfolio || wanted === this.#read) return;
    this.#read = wanted;
    void this.#readAll(wanted);
  }

  /** @param {string} wanted */
  async #readAll(wanted) {
    try {
      const [points, statistics] = await Promise.all([readEquity(this.period), readStatistics()]);
      if (this.#read === wanted) this.change({ points, statistics, message: "" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.change({ message: error.message });
    }
  }
}

/**
 * @param {string} label
 * @param {string} value
 * @param {string} [kind]
 */
function figure(label, value, kind = "") {
  return html`<div>
    <dt>${label}</dt>
    <dd class=${kind}>${value}</dd>
  </div>`;
}

/** @param {number | null} value */
function rate(value) {
  return value === null ? "–" : `${price(value)}%`;
}

customElements.define("account-overview", AccountOverview);
