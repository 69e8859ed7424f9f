/**
 * The look of tables: rows on a wide screen, cards on a phone.
 * @module
 */
import { css } from "./element.js";

/** Each row as a card: a cell with a `data-label` has that above it. */
export const cards = css`
  table.cards thead {
    display: none;
  }
  .cards tr {
    display: grid;
    grid-template-columns: repeat(3, minmax(0, 1fr));
    padding: 8px 4px;
    border-bottom: 1px solid var(--line);
  }
  .cards td {
    height: auto;
    padding: 3px 8px;
    border: 0;
    text-align: start;
  }
  .cards td[data-label]::before {
    display: block;
    color: var(--muted);
    content: attr(data-label);
    font-size: var(--size-s);
    font-weight: 400;
  }
  .cards td:is(:first-child, :last-child) {
    grid-column: 1 / -1;
  }
  .cards td .actions button {
    flex: 1;
    min-height: 34px;
  }
`;

/** Tables of trades. */
export const tableStyles = css`
  th {
    height: 26px;
  }
  td:first-child,
  th:first-child {
    padding-inline-start: 12px;
  }
  td,
  th {
    padding: 0 6px;
  }
  .name {
    padding: 0;
    border: 0;
    background: none;
    font-weight: 550;
  }
  .stale {
    color: var(--muted);
  }
  .profit {
    font-weight: 600;
  }
  .actions {
    display: flex;
    gap: 3px;
    justify-content: end;
  }
  td .actions button {
    min-height: 22px;
    padding: 0 7px;
  }
  @media (min-width: 761px) {
    /* What can be done stays in sight if the table is wider than its panel. */
    .cards :is(td, th):last-child {
      position: sticky;
      inset-inline-end: 0;
      background: var(--panel);
    }
    .cards tr:hover td:last-child {
      background: var(--hover);
    }
  }
  @media (max-width: 760px) {
    ${cards}
  }
`;
