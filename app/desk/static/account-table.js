/**
 * Tables of the account: a heading for each column, and cards in a narrow panel.
 * @module
 */
import { css, html } from "./element.js";
import { cards } from "./table-styles.js";

/** @typedef {{label: unknown, isNumber?: boolean}} Column */

/** The heading of a column of buttons. */
export const ACTION = { label: html`<span class="hidden-text">Action</span>` };

/**
 * Return the heading of a column of numbers.
 * @param {string} label
 */
export function number(label) {
  return { label, isNumber: true };
}

/**
 * Show a table. One with a column of buttons is a list of cards in a narrow panel: its cells have
 * the heading of their column as `data-label`.
 * @param {string} name for screen readers
 * @param {(string | Column)[]} columns
 * @param {unknown[]} rows
 */
export function table(name, columns, rows) {
  return html`<div class="scrolls" role="group" aria-label=${name} tabindex="0">
    <table class=${columns.includes(ACTION) ? "cards" : ""}>
      <thead>
        <tr>
          ${columns.map((column) => heading(typeof column === "string" ? { label: column } : column))}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

/** @param {Column} column */
function heading({ label, isNumber = false }) {
  return html`<th scope="col" class=${isNumber ? "number" : ""}>${label}</th>`;
}

/** The styles of these tables, and of sections below each other. */
export const sectionStyles = css`
  section {
    max-width: 860px;
    margin-bottom: 28px;
  }
  section > h2 {
    margin-bottom: 8px;
  }
  section > :is(form, button, p, shown-once) {
    margin-top: 10px;
  }
  .scrolls {
    max-width: 860px;
    overflow-x: auto;
    container-type: inline-size;
  }
  .actions {
    text-align: end;
  }
  @container (max-width: 700px) {
    ${cards}
    .cards td.actions {
      display: flex;
      flex-wrap: wrap;
      gap: 6px;
    }
    .cards td.actions:not(:has(*)) {
      display: none;
    }
    .cards td.actions button {
      flex: 1;
    }
  }
`;
