/**
 * The open trades with their live profit: levels edited in place, exits in one press.
 * @module
 */
import { dialogStyles } from "./dialog-styles.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { FollowedSymbols } from "./followed-symbols.js";
import { arrow, moment, price, shortName, signed, trend, whole } from "./format.js";
import { isStale, origin } from "./freshness.js";
import { lastPrice, openProfit, openTrades, profitAt } from "./profit.js";
import { store } from "./store.js";
import { choose } from "./symbols.js";
import { tableStyles } from "./table-styles.js";
import { exit, exitAll, modify } from "./trading.js";
import "./level-field.js";

const PARTS = [25, 50, 75];

export class OpenTrades extends DeskElement {
  static watches = ["trades", "quotes", "connection", "clock", "symbol"];
  static styles = [
    shared,
    dialogStyles,
    tableStyles,
    css`
      .total {
        display: flex;
        gap: 16px;
        align-items: center;
        min-height: 36px;
        padding: 4px 12px;
        border-bottom: 1px solid var(--line);
      }
      .total strong {
        font-size: 15px;
      }
      .total button {
        margin-inline-start: auto;
      }
      dialog p {
        margin: 8px 0 16px;
      }
      dialog div {
        display: flex;
        gap: 8px;
        justify-content: end;
      }
      @media (min-width: 761px) and (max-width: 1500px) {
        .trail,
        .outer {
          display: none;
        }
      }
    `,
  ];

  /** Trades whose exit is on its way. @type {Set<string>} */
  exiting = new Set();
  #followed = new FollowedSymbols();

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#followed.clear();
  }

  render() {
    const trades = openTrades();
    const total = openProfit();
    if (!trades.length) {
      return html`<p class="empty">
        No open trades. Press B or S to buy or sell the chosen symbol.
      </p>`;
    }
    return html`
      <div class="total">
        <span class="muted">${trades.length} open, profit and loss</span>
        <strong class=${trend(total)}>${signed(total)} ${arrow(total)}</strong>
        <button @click=${() => this.#dialog()?.showModal()}>Exit all …</button>
      </div>
      <table class="cards">
        <thead>
          <tr>
            <th>Symbol</th>
            <th class="number">Quantity</th>
            <th class="number">Entry</th>
            <th class="number">Last</th>
            <th class="number">P&amp;L</th>
            <th class="number">Stop-loss</th>
            <th class="number">Target</th>
            <th class="number trail">Trailing</th>
            <th class="number">Exit</th>
          </tr>
        </thead>
        <tbody>
          ${trades.map((trade) => this.#row(trade))}
        </tbody>
      </table>
      ${this.#confirmation(trades.length)}
    `;
  }

  /** @param {Trade} trade */
  #row(trade) {
    const last = lastPrice(trade);
    const profit = profitAt(trade, last);
    const quote = store.quote(trade.symbol);
    const isOld = quote ? isStale(quote) : Boolean(trade.stale);
    return html`<tr>
      <td>
        <button
          class="name"
          title=${`Opened ${moment(trade.created_at)}`}
          @click=${() => choose(trade.symbol)}
        >
          ${shortName(trade.symbol)}
        </button>
        <span class=${`tag ${trade.trade_type.toLowerCase()}`}>${trade.trade_type}</span>
      </td>
      <td class="number" data-label="Quantity">${whole(trade.open_quantity)}</td>
      <td class="number" data-label="Entry">${price(trade.entry_price)}</td>
      <td class=${`number ${isOld ? "stale" : ""}`} data-label="Last" title=${origin(quote)}>
        ${price(last)}
      </td>
      <td class=${`number profit ${isOld ? "stale" : trend(profit)}`} data-label="P&L">
        ${signed(profit)} ${arrow(profit)}
      </td>
      <td class="number" data-label="Stop-loss">${this.#level(trade, "stop_loss", "Stop-loss")}</td>
      <td class="number" data-label="Target">${this.#level(trade, "target_price", "Target")}</td>
      <td class="number trail" data-label="Trailing">${this.#trailing(trade)}</td>
      <td>${this.#exits(trade)}</td>
    </tr>`;
  }

  /**
   * @param {Trade} trade
   * @param {"stop_loss" | "target_price" | "trailing_offset" | "trailing_pct"} field
   * @param {string} label
   */
  #level(trade, field, label) {
    return html`<level-field
      .value=${trade[field]}
      .label=${`${label} of ${shortName(trade.symbol)}`}
      .save=${(/** @type {number | null} */ value) => modify(trade, { [field]: value })}
    ></level-field>`;
  }

  /** @param {Trade} trade */
  #trailing(trade) {
    const isPercent = trade.trailing_pct !== null;
    const field = isPercent ? "trailing_pct" : "trailing_offset";
    const name = isPercent ? "Trailing per cent" : "Trailing rupees";
    return html`${this.#level(trade, field, name)}${isPercent ? "%" : nothing}`;
  }

  /** @param {Trade} trade */
  #exits(trade) {
    const isBusy = this.exiting.has(trade.trade_id);
    if (trade.exit_queued) return html`<span class="tag">Exit queued</span>`;
    return html`<div class="actions">
      ${
        trade.open_quantity > 1
          ? PARTS.map(
              (part) =>
                html`<button
                  class=${part === 50 ? "" : "outer"}
                  aria-label=${`Exit ${part}% of ${shortName(trade.symbol)}`}
                  ?disabled=${isBusy}
                  @click=${() => this.#exit(trade, part)}
                >
                  ${part}%
                </button>`,
            )
          : nothing
      }
      <button
        aria-label=${`Exit ${shortName(trade.symbol)}`}
        ?disabled=${isBusy}
        @click=${() => this.#exit(trade)}
      >
        Exit
      </button>
    </div>`;
  }

  /** @param {number} count */
  #confirmation(count) {
    return html`<dialog aria-labelledby="question">
      <h2 id="question">Exit all open trades?</h2>
      <p>${count} ${count === 1 ? "trade" : "trades"} will be closed at the latest prices.</p>
      <div>
        <button @click=${() => this.#dialog()?.close()}>Keep them</button>
        <button class="danger" @click=${() => this.#exitAll()}>Exit all</button>
      </div>
    </dialog>`;
  }

  #dialog() {
    return this.renderRoot.querySelector("dialog");
  }

  updated() {
    this.#followed.set(openTrades().map((trade) => trade.symbol));
  }

  /**
   * @param {Trade} trade
   * @param {number} [percent]
   */
  async #exit(trade, percent) {
    this.exiting.add(trade.trade_id);
    this.requestUpdate();
    await this.#report(async () => {
      const done = await exit(trade, percent);
      if (done.pnl === undefined) return done.message;
      return `${shortName(trade.symbol)} exited at ${price(done.exit_price)}: ${signed(done.pnl)}.`;
    });
    this.exiting.delete(trade.trade_id);
    this.requestUpdate();
  }

  async #exitAll() {
    this.#dialog()?.close();
    await this.#report(async () => {
      const done = await exitAll();
      // Outside market hours the exits wait, so that nothing is earned yet.
      return done.count ? `${done.message}: ${signed(done.total_pnl)}.` : `${done.message}.`;
    });
  }

  /** @param {() => Promise<string>} task */
  async #report(task) {
    try {
      store.emit("toast", { kind: "success", text: await task() });
    } catch (error) {
      store.emit("toast", { kind: "error", text: String(Object(error).message) });
    }
  }
}

customElements.define("open-trades", OpenTrades);
