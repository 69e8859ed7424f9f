/**
 * The price alerts: a form for another one, and those that wait.
 * @module
 */
import { createAlert, deleteAlert, readAlerts } from "./alerts.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { field, FormState, formStyles } from "./form.js";
import { moment, price, shortName } from "./format.js";
import { store } from "./store.js";

export class AlertList extends DeskElement {
  static watches = ["alerts", "symbol"];
  static styles = [
    shared,
    formStyles,
    css`
      form {
        padding: 12px;
        border-bottom: 1px solid var(--line);
      }
      form label {
        flex: 1;
      }
      .symbol {
        flex-basis: 100%;
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        align-items: center;
        padding: 8px 12px;
        border-bottom: 1px solid var(--line);
      }
    `,
  ];

  form = new FormState(this);
  deletion = new FormState(this);

  connectedCallback() {
    super.connectedCallback();
    void this.form.run(readAlerts);
  }

  render() {
    const symbol = store.get("symbol");
    const alerts = store.get("alerts");
    return html`
      <form novalidate @submit=${(/** @type {SubmitEvent} */ event) => this.#submit(event)}>
        <p class="symbol">
          Alert on <strong>${shortName(symbol)}</strong>
          <span class="muted">last ${price(store.quote(symbol)?.price)}</span>
        </p>
        <label>
          When the price is
          <select name="direction">
            <option value="above">at or above</option>
            <option value="below">at or below</option>
          </select>
        </label>
        ${field(this.form, "level", "Price in ₹", { type: "number", fault: this.#fault() })}
        <button class="primary" ?disabled=${this.form.isBusy}>Set alert</button>
        ${this.form.error()}
      </form>
      ${this.deletion.error()}
      <ul aria-label="Alerts that wait">
        ${alerts.map((alert) => this.#item(alert))}
      </ul>
      ${alerts.length ? nothing : html`<p class="empty">No alert waits.</p>`}
    `;
  }

  #fault() {
    return ["above", "below"].find((name) => name in this.form.faults);
  }

  /** @param {PriceAlert} alert */
  #item(alert) {
    const parts = [
      alert.above === null ? "" : `at or above ${price(alert.above)}`,
      alert.below === null ? "" : `at or below ${price(alert.below)}`,
    ];
    const text = `${shortName(alert.symbol)} ${parts.filter(Boolean).join(" or ")}`;
    return html`<li>
      <div>
        <p>${text}</p>
        <p class="muted small">set ${moment(alert.created_at)} IST</p>
      </div>
      <button
        aria-label=${`Delete the alert: ${text}`}
        @click=${() => void this.deletion.run(() => deleteAlert(alert))}
      >
        Delete
      </button>
    </li>`;
  }

  /** @param {SubmitEvent} event */
  async #submit(event) {
    await this.form.submit(event, ({ direction, level }) => {
      const levels = level === "" ? {} : { [direction]: Number(level) };
      return createAlert(store.get("symbol"), levels);
    });
  }
}

customElements.define("alert-list", AlertList);
