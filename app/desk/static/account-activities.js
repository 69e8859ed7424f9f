/**
 * The statement: every movement of money with the balance after it, newest first.
 * @module
 */
import { readActivities } from "./account-data.js";
import { number, sectionStyles, table } from "./account-table.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { FormState } from "./form.js";
import { moment, rupees, shortName, signed, trend } from "./format.js";
import { inWords, MOVEMENTS } from "./reasons.js";
import { store } from "./store.js";

const COLUMNS = ["Time, IST", "What", number("Amount"), number("Balance")];

export class AccountActivities extends DeskElement {
  static watches = ["portfolio", "portfolioName"];
  static styles = [
    shared,
    sectionStyles,
    css`
      .more {
        margin-top: 10px;
      }
    `,
  ];

  form = new FormState(this);
  /** @type {Activity[]} */
  list = [];
  /** @type {string | null} */
  cursor = null;
  #read = "";

  render() {
    return html`
      ${this.form.error()} ${table("Statement", COLUMNS, this.list.map(row))}
      ${
        this.cursor
          ? html`<button class="more" @click=${() => this.#load(this.cursor)}>
              Show earlier ones
            </button>`
          : nothing
      }
    `;
  }

  updated() {
    const wanted = `${store.get("portfolioName")} ${store.get("portfolio")?.last_updated}`;
    if (wanted === this.#read || !store.get("portfolio")) return;
    this.#read = wanted;
    this.#load(null);
  }

  /** @param {string | null} cursor */
  #load(cursor) {
    void this.form.run(async () => {
      const page = await readActivities(cursor);
      this.list = cursor ? [...this.list, ...page.activities] : page.activities;
      this.cursor = page.next_cursor;
    });
  }
}

/** @param {Activity} each */
function row(each) {
  const name = inWords(MOVEMENTS, each.kind);
  const what = each.symbol ? `${shortName(each.symbol)} ${name}` : name;
  return html`<tr>
    <td>${moment(each.time)}</td>
    <td>${what}</td>
    <td class=${`number ${trend(each.amount)}`}>${signed(each.amount)}</td>
    <td class="number">${rupees(each.balance)}</td>
  </tr>`;
}

customElements.define("account-activities", AccountActivities);
