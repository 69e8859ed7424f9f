/**
 * The look of the order ticket.
 * @module
 */
import { css } from "./element.js";

export const ticketStyles = css`
  form {
    --side: var(--accent);
    --on-side: var(--on-accent);
    display: grid;
    gap: 10px;
    padding: 0 12px 16px;
  }
  form[data-side="SELL"] {
    --side: var(--down);
    --on-side: var(--on-fill);
  }
  .choice {
    display: flex;
    padding: 2px;
    border-radius: 6px;
    background: var(--raised);
  }
  .choice button {
    flex: 1;
    padding: 2px 4px;
    border-color: transparent;
    background: none;
    color: var(--muted);
  }
  .choice button[aria-pressed="true"] {
    border-color: var(--line);
    background: var(--panel);
    color: var(--text);
    font-weight: 600;
  }
  .side button {
    min-height: 32px;
    font-weight: 600;
  }
  .side button[aria-pressed="true"] {
    border-color: transparent;
    background: var(--side);
    color: var(--on-side);
  }
  .orders {
    display: grid;
    gap: 4px;
    padding: 8px 0;
    border-bottom: 1px solid var(--line);
  }
  .orders > button,
  .add {
    justify-self: start;
    padding-inline: 0;
    color: var(--accent);
  }
  .sizing {
    margin-bottom: 8px;
  }
  .field {
    display: grid;
    gap: 3px;
    align-content: start;
  }
  label {
    color: var(--muted);
    font-size: var(--size-s);
  }
  .hint {
    margin-top: 2px;
  }
  fieldset {
    min-width: 0;
    margin: 0;
    padding: 0;
    border: 0;
  }
  .pair {
    display: grid;
    grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    gap: 10px;
  }
  .chips {
    display: flex;
    gap: 2px;
    margin-top: 3px;
  }
  .chips button {
    flex: 1;
    min-height: 20px;
    padding: 0 1px;
    border-color: var(--line);
    font-size: 10.5px;
  }
  .with-unit {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 4px;
    align-items: start;
  }
  .with-unit button {
    min-width: 34px;
    min-height: 28px;
    margin-top: 19px;
  }
  ticket-summary {
    padding: 8px 0;
    border-block: 1px solid var(--line);
  }
  .place {
    position: sticky;
    bottom: 0;
    margin: 0 -12px -16px;
    padding: 8px 12px;
    background: var(--panel);
  }
  .place button {
    width: 100%;
    min-height: 38px;
    border-color: transparent;
    background: var(--side);
    color: var(--on-side);
    font-size: var(--size-l);
    font-weight: 600;
  }
  #reason {
    min-height: 2.9em;
    margin-top: 4px;
  }
  @media (pointer: coarse) {
    .with-unit button {
      min-height: 40px;
    }
    .chips button {
      min-height: 30px;
    }
  }
`;
