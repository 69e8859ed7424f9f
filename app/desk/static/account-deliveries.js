/**
 * What was sent to a webhook and what it answered, newest first.
 * @module
 */
import { ACTION, number, sectionStyles, table } from "./account-table.js";
import * as api from "./api.js";
import { DeskElement, html, nothing, shared } from "./element.js";
import { FormState } from "./form.js";
import { moment } from "./format.js";
import { EVENTS, inWords, NOTICES } from "./reasons.js";

/**
 * @typedef {object} Delivery
 * @property {string} delivery_id
 * @property {"event" | "replay" | "test"} origin
 * @property {string} event
 * @property {number | null} seq
 * @property {"pending" | "delivered" | "failed"} status
 * @property {string} created_at
 * @property {number} attempt_count
 * @property {{status_code: number | null, error: string | null}[]} attempts
 */

const PAGE = 20;
const COLUMNS = ["Time, IST", "Event", number("Seq"), "State", "Answer", number("Tries"), ACTION];

export class AccountDeliveries extends DeskElement {
  static properties = { webhookId: { attribute: false }, tests: { attribute: false } };
  static styles = [shared, sectionStyles];

  constructor() {
    super();
    this.webhookId = "";
    /** A number that changes with each test that was sent. */
    this.tests = 0;
  }

  /** @type {Delivery[]} */
  deliveries = [];
  /** @type {string | null} */
  cursor = null;
  form = new FormState(this);
  #read = "";

  render() {
    const rows = this.deliveries.map((each) => this.#row(each));
    return html`<section aria-labelledby="deliveries">
      <h2 id="deliveries">Deliveries</h2>
      ${this.form.error()}
      ${rows.length ? table("Deliveries", COLUMNS, rows) : html`<p class="muted">None yet.</p>`}
      ${
        this.cursor
          ? html`<button @click=${() => this.#load(this.cursor)}>Show earlier ones</button>`
          : nothing
      }
    </section>`;
  }

  /** @param {Delivery} each */
  #row(each) {
    const last = each.attempts.at(-1);
    return html`<tr>
      <td>${moment(each.created_at)}</td>
      <td data-label="Event">
        ${inWords({ ...EVENTS, ...NOTICES }, each.event)}
        ${each.origin === "replay" ? html`<span class="tag">again</span>` : nothing}
      </td>
      <td class="number" data-label="Seq">${each.seq ?? "–"}</td>
      <td data-label="State">
        <span class=${`tag ${each.status === "delivered" ? "" : "warn"}`}>${each.status}</span>
      </td>
      <td data-label="Answer">${last?.status_code ?? last?.error ?? "–"}</td>
      <td class="number" data-label="Tries">${each.attempt_count}</td>
      <td class="actions">
        ${
          each.seq === null
            ? nothing
            : html`<button
                aria-label=${`Send again: event ${each.seq}`}
                @click=${() => this.#replay(each)}
              >
                Send again
              </button>`
        }
      </td>
    </tr>`;
  }

  updated() {
    const wanted = `${this.webhookId} ${this.tests}`;
    if (wanted === this.#read) return;
    this.#read = wanted;
    this.#load(null);
  }

  get #path() {
    return `/notifications/webhooks/${this.webhookId}/deliveries`;
  }

  /** @param {string | null} cursor */
  #load(cursor) {
    void this.form.run(() => this.#page(cursor));
  }

  /** @param {string | null} cursor */
  async #page(cursor) {
    const page = await api.get(this.#path, { limit: PAGE, cursor });
    this.deliveries = cursor ? [...this.deliveries, ...page.deliveries] : page.deliveries;
    this.cursor = page.next_cursor;
  }

  /** @param {Delivery} delivery */
  #replay({ delivery_id: id }) {
    void this.form.run(async () => {
      await api.post(`${this.#path}/${id}/replay`);
      await this.#page(null);
    });
  }
}

customElements.define("account-deliveries", AccountDeliveries);
