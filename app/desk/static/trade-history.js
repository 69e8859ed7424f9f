/**
 * The trades that have ended: filtered, with their fills in words, and as CSV.
 * @module
 */
import { encode } from "./account.js";
import { download, get } from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { describeAdjustment, describeFill, result, title, whyUnfilled } from "./evidence.js";
import { arrow, moment, price, shortName, signed, trend, whole } from "./format.js";
import { FILL_PROFILES, inWords, STATUSES } from "./reasons.js";
import { store } from "./store.js";
import { tableStyles } from "./table-styles.js";
import { detail } from "./trading.js";

const PAGE = 50;
/** How a trade can end. The server does not square off or liquidate yet. */
const ENDED = [
  ...["CLOSED", "STOP_LOSS_HIT", "TARGET_HIT", "TRAILING_STOP_HIT"],
  ...["CANCELLED", "EXPIRED", "REJECTED"],
];

export class TradeHistory extends DeskElement {
  static styles = [
    shared,
    tableStyles,
    css`
      form {
        display: flex;
        flex-wrap: wrap;
        gap: 6px;
        align-items: center;
        padding: 5px 12px;
        border-bottom: 1px solid var(--line);
      }
      select,
      input {
        width: 150px;
        border-color: var(--line);
      }
      form button {
        margin-inline-start: auto;
      }
      .evidence td {
        height: auto;
        padding: 8px 16px 12px;
        background: var(--raised);
        white-space: normal;
      }
      ol {
        display: grid;
        gap: 4px;
        margin: 0;
        padding-inline-start: 18px;
      }
      .more {
        display: block;
        margin: 10px auto;
      }
      @media (max-width: 760px) {
        .wide {
          display: none;
        }
        select,
        input {
          width: 120px;
        }
      }
    `,
  ];

  /** @type {Trade[]} */
  trades = [];
  /** @type {string | null} */
  cursor = null;
  status = "";
  symbol = "";
  isLoading = true;
  message = "";
  /** @type {Map<string, TradeDetail>} */
  details = new Map();
  #asked = 0;
  /** @type {AbortController | null} */
  #listening = null;

  watchedKeys() {
    return ["portfolioName"];
  }

  connectedCallback() {
    super.connectedCallback();
    void this.#read();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    // What has just ended belongs here.
    store.events.addEventListener("trade-event", () => void this.#read(), { signal });
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#listening?.abort();
  }

  render() {
    return html`
      ${this.#filters()}
      <p class="error empty" role="alert" ?hidden=${!this.message}>${this.message}</p>
      ${this.trades.length ? this.#table() : nothing}
      ${
        !this.trades.length && !this.message
          ? html`<p class="empty">${this.isLoading ? "Loading …" : "No ended trades here yet."}</p>`
          : nothing
      }
      ${
        this.cursor
          ? html`<button
              class="more"
              ?disabled=${this.isLoading}
              @click=${() => this.#read(this.cursor)}
            >
              Show older trades
            </button>`
          : nothing
      }
    `;
  }

  #filters() {
    return html`<form @submit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <select
        aria-label="Result"
        @change=${(/** @type {Event} */ event) => this.#filter("status", event)}
      >
        <option value="">All results</option>
        ${ENDED.map((each) => html`<option value=${each}>${inWords(STATUSES, each)}</option>`)}
      </select>
      <input
        type="search"
        aria-label="Symbol"
        placeholder="Symbol"
        autocomplete="off"
        @change=${(/** @type {Event} */ event) => this.#filter("symbol", event)}
      />
      <button type="button" @click=${() => this.#export()}>Download CSV</button>
    </form>`;
  }

  #table() {
    return html`<table>
      <thead>
        <tr>
          <th>Trade</th>
          <th>Result</th>
          <th class="number wide">Entry</th>
          <th class="number wide">Exit</th>
          <th class="number">P&amp;L</th>
          <th class="wide">Opened</th>
          <th>Ended</th>
        </tr>
      </thead>
      <tbody>
        ${this.trades.map((trade) => this.#row(trade))}
      </tbody>
    </table>`;
  }

  /** @param {Trade} trade */
  #row(trade) {
    const shown = this.details.get(trade.trade_id);
    return html`<tr>
        <td>
          <button
            class="name"
            aria-expanded=${shown ? "true" : "false"}
            aria-label=${`${title(trade)}: why it ended`}
            @click=${() => this.#toggle(trade)}
          >
            <span aria-hidden="true">${shown ? "▾" : "▸"}</span> ${shortName(trade.symbol)}
          </button>
          <span class=${`tag ${trade.trade_type.toLowerCase()}`}>
            ${trade.trade_type} ${whole(trade.quantity)}
          </span>
        </td>
        <td>${result(trade)}</td>
        <td class="number wide">${price(trade.entry_price)}</td>
        <td class="number wide">${price(trade.exit_price)}</td>
        <td class=${`number profit ${trend(trade.pnl)}`}>
          ${signed(trade.pnl)} ${arrow(trade.pnl)}
        </td>
        <td class="wide">${moment(trade.created_at)}</td>
        <td>${moment(trade.closed_at ?? shown?.fills.at(-1)?.time)}</td>
      </tr>
      ${shown ? this.#evidence(shown) : nothing}`;
  }

  /** @param {TradeDetail} trade */
  #evidence(trade) {
    const why = whyUnfilled(trade);
    return html`<tr class="evidence">
      <td colspan="7">
        <ol>
          ${trade.fills.map((fill) => html`<li>${describeFill(trade, fill)}</li>`)}
        </ol>
        ${trade.adjustments.map((each) => html`<p>${describeAdjustment(each)}</p>`)}
        ${
          trade.fill_profile === "plain"
            ? nothing
            : html`<p>
                Its fills are those of the profile ${inWords(FILL_PROFILES, trade.fill_profile)}.
              </p>`
        }
        ${why ? html`<p>${why}</p>` : nothing}
      </td>
    </tr>`;
  }

  /** @param {string | null} [cursor] the place after which to read on; left out, the newest */
  async #read(cursor) {
    const number = ++this.#asked;
    const user = store.get("user");
    if (!user) return;
    const { status, symbol } = this;
    const query = { portfolio: store.get("portfolioName"), status, symbol, limit: PAGE, cursor };
    try {
      const page = await get(`/trades/${encode(user.clientId)}`, query);
      if (number !== this.#asked) return;
      const isEnded = (/** @type {Trade} */ trade) => !["ACTIVE", "PENDING"].includes(trade.status);
      const ended = page.trades.filter(isEnded);
      const trades = cursor ? [...this.trades, ...ended] : ended;
      this.change({ trades, cursor: page.next_cursor, message: "", isLoading: false });
    } catch (error) {
      if (number !== this.#asked) return;
      this.change({ message: String(Object(error).message), isLoading: false });
    }
  }

  /**
   * @param {"status" | "symbol"} field
   * @param {Event} event
   */
  #filter(field, event) {
    const { value } = /** @type {HTMLInputElement | HTMLSelectElement} */ (event.target);
    this.change({ [field]: value.trim(), trades: [], cursor: null, isLoading: true });
    void this.#read();
  }

  /** @param {Trade} trade */
  async #toggle(trade) {
    if (this.details.delete(trade.trade_id)) return this.requestUpdate();
    try {
      this.details.set(trade.trade_id, await detail(trade.trade_id));
      this.requestUpdate();
    } catch (error) {
      store.emit("toast", { kind: "error", text: String(Object(error).message) });
    }
  }

  async #export() {
    const query = new URLSearchParams({ portfolio: store.get("portfolioName") });
    if (this.status) query.set("status", this.status);
    if (this.symbol) query.set("symbol", this.symbol);
    const user = encode(store.get("user")?.clientId ?? "");
    try {
      await download(`/trades/${user}/export.csv?${query}`, "trades.csv");
    } catch (error) {
      store.emit("toast", { kind: "error", text: String(Object(error).message) });
    }
  }
}

customElements.define("trade-history", TradeHistory);
