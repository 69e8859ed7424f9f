/**
 * The look of a dialog that asks before something final.
 * @module
 */
import { css } from "./element.js";

export const dialogStyles = css`
  dialog {
    width: min(92vw, 420px);
    padding: 20px 24px;
    border: 1px solid var(--line);
    border-radius: 8px;
    background: var(--panel);
    box-shadow: var(--shadow);
    color: var(--text);
  }
  dialog::backdrop {
    background: var(--backdrop);
  }
  dialog form {
    display: grid;
    align-items: start;
  }
`;
