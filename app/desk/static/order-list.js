/**
 * The orders that wait for their price or session: changed in place, cancelled in one press.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { FollowedSymbols } from "./followed-symbols.js";
import { date, moment, price, shortName } from "./format.js";
import { isStale, origin } from "./freshness.js";
import { pendingOrders } from "./profit.js";
import { words } from "./reasons.js";
import { store } from "./store.js";
import { choose } from "./symbols.js";
import { tableStyles } from "./table-styles.js";
import { cancel, modify } from "./trading.js";
import "./level-field.js";

/** @typedef {"quantity" | "limit_price" | "stop_price" | "stop_loss" | "target_price"} Field */

export class OrderList extends DeskElement {
  static watches = ["trades", "quotes", "connection", "clock"];
  static styles = [
    shared,
    tableStyles,
    css`
      .pair {
        border-inline-start: 3px solid var(--accent);
      }
      .pair th {
        position: static;
        padding-inline-start: 12px;
      }
      @media (min-width: 761px) and (max-width: 1500px) {
        .last {
          display: none;
        }
      }
      @media (max-width: 760px) {
        .cards .head {
          grid-template-columns: minmax(0, 1fr) auto;
          align-items: center;
          padding-block: 2px;
        }
        .cards .head td:last-child {
          grid-column: auto;
        }
        .pair th {
          height: auto;
          border: 0;
          white-space: normal;
        }
      }
    `,
  ];

  #followed = new FollowedSymbols();

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#followed.clear();
  }

  render() {
    const orders = pendingOrders();
    if (!orders.length) {
      return html`<p class="empty">
        No orders wait. A limit or stop order of the ticket waits here for its price.
      </p>`;
    }
    return html`<table class="cards">
      <thead>
        <tr>
          <th>Order</th>
          <th class="number">Quantity</th>
          <th class="number">Limit</th>
          <th class="number">Stop</th>
          <th class="number last">Last</th>
          <th class="number">Stop-loss</th>
          <th class="number">Target</th>
          <th>Waits until</th>
          <th class="number">Cancel</th>
        </tr>
      </thead>
      ${groups(orders).map((group) =>
        group.length === 1
          ? html`<tbody>
              ${this.#row(group[0])}
            </tbody>`
          : this.#pair(group),
      )}
    </table>`;
  }

  /** @param {Trade[]} pair */
  #pair(pair) {
    const name = shortName(pair[0].symbol);
    return html`<tbody class="pair">
      <tr class="head">
        <th colspan="8" scope="rowgroup">Pair of ${name}: the first to fill cancels the other</th>
        <td class="number">
          <div class="actions">
            <button
              aria-label=${`Cancel both orders of the pair of ${name}`}
              @click=${() => this.#cancel(pair, `Both orders of the pair of ${name} were cancelled.`)}
            >
              Cancel both
            </button>
          </div>
        </td>
      </tr>
      ${pair.map((order) => this.#row(order))}
    </tbody>`;
  }

  /** @param {Trade} order */
  #row(order) {
    const quote = store.quote(order.symbol);
    return html`<tr>
      <td>
        <button class="name" @click=${() => choose(order.symbol)}>
          ${shortName(order.symbol)}
        </button>
        <span class=${`tag ${order.trade_type.toLowerCase()}`}>${order.trade_type}</span>
        <span class="tag">${words(order.order_type)}</span>
        ${order.triggered_at ? html`<span class="tag warn">stop reached</span>` : nothing}
      </td>
      ${this.#cell(order, "quantity", "Quantity")} ${this.#cell(order, "limit_price", "Limit")}
      ${this.#cell(order, "stop_price", "Stop")}
      <td
        class=${`number last ${isStale(quote) ? "stale" : ""}`}
        data-label="Last"
        title=${origin(quote)}
      >
        ${price(quote?.price)}
      </td>
      ${this.#cell(order, "stop_loss", "Stop-loss")} ${this.#cell(order, "target_price", "Target")}
      <td data-label="Waits until">${this.#until(order)}</td>
      <td class="number">
        <div class="actions">
          <button
            aria-label=${`Cancel the order of ${shortName(order.symbol)}`}
            @click=${() => this.#cancel([order], `The order of ${shortName(order.symbol)} was cancelled.`)}
          >
            Cancel
          </button>
        </div>
      </td>
    </tr>`;
  }

  /**
   * @param {Trade} order
   * @param {Field} field
   * @param {string} label
   */
  #cell(order, field, label) {
    // A limit order has no stop price, and the other way round.
    const isPrice = field === "limit_price" || field === "stop_price";
    if (isPrice && order[field] === null) {
      return html`<td class="number muted" data-label=${label}>–</td>`;
    }
    return html`<td class="number" data-label=${label}>
      <level-field
        .value=${order[field]}
        .label=${`${label} of the order of ${shortName(order.symbol)}`}
        .isWhole=${field === "quantity"}
        .isRequired=${isPrice || field === "quantity"}
        .save=${(/** @type {number | null} */ value) => modify(order, { [field]: value })}
      ></level-field>
    </td>`;
  }

  /** @param {Trade} order */
  #until(order) {
    if (order.queued_for) return `session of ${date(order.queued_for)}`;
    return order.time_in_force === "DAY" ? moment(order.expires_at) : date(order.expires_at);
  }

  updated() {
    this.#followed.set(pendingOrders().map((order) => order.symbol));
  }

  /**
   * @param {Trade[]} orders
   * @param {string} text what to say afterwards
   */
  async #cancel(orders, text) {
    try {
      for (const order of orders) await cancel(order);
      store.emit("toast", { kind: "success", text });
    } catch (error) {
      store.emit("toast", { kind: "error", text: String(Object(error).message) });
    }
  }
}

/**
 * Put the two orders of each pair beside each other, where the newer one is.
 * @param {Trade[]} orders
 */
function groups(orders) {
  const byId = new Map(orders.map((order) => [order.trade_id, order]));
  return orders.flatMap((order) => {
    if (!byId.delete(order.trade_id)) return [];
    const other = byId.get(order.oco_id ?? "");
    if (!other) return [[order]];
    byId.delete(other.trade_id);
    return [[other, order]];
  });
}

customElements.define("order-list", OrderList);
