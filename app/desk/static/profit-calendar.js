/**
 * The realized profit of each day of a month.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { arrow, signed, trend } from "./format.js";

/** @typedef {import("./account-data.js").DayResults} DayResults */

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTH = new Intl.DateTimeFormat("en-IN", { month: "long", year: "numeric", timeZone: "UTC" });
const DAY_IN_INDIA = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Kolkata" });

/**
 * Return the weeks of a month, each of seven days as "2026-11-27"; null for days of other months.
 * @param {string} month "2026-11"
 * @returns {(string | null)[][]}
 */
export function weeksOf(month) {
  const [year, number] = month.split("-").map(Number);
  const count = new Date(Date.UTC(year, number, 0)).getUTCDate();
  const before = (new Date(Date.UTC(year, number - 1, 1)).getUTCDay() + 6) % 7;
  /** @type {(string | null)[]} */
  const cells = Array(before).fill(null);
  for (let day = 1; day <= count; day += 1) cells.push(`${month}-${String(day).padStart(2, "0")}`);
  while (cells.length % 7) cells.push(null);
  return Array.from({ length: cells.length / 7 }, (_, week) => cells.slice(week * 7, week * 7 + 7));
}

/**
 * Return another month.
 * @param {string} month "2026-11"
 * @param {number} step
 */
export function monthAfter(month, step) {
  const [year, number] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + step, 1)).toISOString().slice(0, 7);
}

export class ProfitCalendar extends DeskElement {
  static properties = { days: { attribute: false } };
  static styles = [
    shared,
    css`
      .head {
        display: flex;
        gap: 8px;
        align-items: center;
        margin-bottom: 8px;
      }
      h3 {
        min-width: 9.5em;
        font-size: var(--size-m);
        text-align: center;
      }
      .sum {
        margin-inline-start: auto;
        font-weight: 600;
      }
      table {
        table-layout: fixed;
        border-spacing: 3px;
        border-collapse: separate;
      }
      th {
        position: static;
        height: auto;
        padding: 2px 4px;
        border: 0;
      }
      td {
        height: 44px;
        padding: 2px 5px;
        border: 1px solid var(--line);
        border-radius: 3px;
        font-size: var(--size-s);
        line-height: 1.3;
        vertical-align: top;
      }
      td.none {
        border-color: transparent;
      }
      td.up {
        border-color: transparent;
        background: var(--up-soft);
      }
      td.down {
        border-color: transparent;
        background: var(--down-soft);
      }
      .pnl {
        display: block;
        overflow: hidden;
        text-overflow: ellipsis;
        font-weight: 600;
      }
      tbody tr:hover {
        background: none;
      }
    `,
  ];

  month = DAY_IN_INDIA.format(new Date()).slice(0, 7);

  constructor() {
    super();
    /** @type {DayResults[]} */
    this.days = [];
  }

  render() {
    const byDay = new Map(this.days.map((each) => [each.day, each]));
    const sum = this.days
      .filter(({ day }) => day.startsWith(this.month))
      .reduce((total, { pnl }) => total + pnl, 0);
    return html`
      <div class="head">
        ${this.#step(-1, "Month before", "‹")}
        <h3 aria-live="polite">${MONTH.format(new Date(`${this.month}-01`))}</h3>
        ${this.#step(1, "Month after", "›")}
        <span class=${`sum ${trend(sum)}`}>${signed(sum)} ${arrow(sum)}</span>
      </div>
      <table aria-label="Realized profit by day">
        <thead>
          <tr>
            ${WEEKDAYS.map((day) => html`<th scope="col">${day}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${weeksOf(this.month).map(
            (week) =>
              html`<tr>
                ${week.map((day) => this.#cell(day, day ? byDay.get(day) : undefined))}
              </tr>`,
          )}
        </tbody>
      </table>
    `;
  }

  /**
   * @param {string | null} day
   * @param {DayResults | undefined} results
   */
  #cell(day, results) {
    if (!day) return html`<td class="none"></td>`;
    const count = results?.closed_trades ?? 0;
    const trades = count === 1 ? "1 trade" : `${count} trades`;
    return html`<td class=${results ? trend(results.pnl) : ""} title=${results ? trades : ""}>
      <span class="muted">${Number(day.slice(-2))}</span>
      ${results ? html`<span class="pnl">${signed(results.pnl)}</span>` : nothing}
    </td>`;
  }

  /**
   * @param {number} step
   * @param {string} label
   * @param {string} sign
   */
  #step(step, label, sign) {
    return html`<button
      class="plain"
      aria-label=${label}
      @click=${() => this.change({ month: monthAfter(this.month, step) })}
    >
      ${sign}
    </button>`;
  }
}

customElements.define("profit-calendar", ProfitCalendar);
