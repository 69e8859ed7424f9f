/**
 * A secret that no other response has: shown until the page moves on, with a button to copy it.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";

export class ShownOnce extends DeskElement {
  static properties = { what: {}, secret: {} };
  static styles = [
    shared,
    css`
      :host {
        max-width: 560px;
        padding: 10px 12px;
        border: 1px solid var(--line-strong);
        border-radius: var(--radius);
        background: var(--warn-soft);
      }
      code {
        display: block;
        margin: 6px 0;
        overflow-wrap: anywhere;
        user-select: all;
        white-space: pre-line;
      }
    `,
  ];

  constructor() {
    super();
    /** What it is, such as "the key". */
    this.what = "";
    this.secret = "";
  }

  isCopied = false;

  render() {
    return html`<p role="status">Keep ${this.what} now: this is shown only once.</p>
      <code>${this.secret}</code>
      ${
        // Only over https, or on this machine.
        navigator.clipboard
          ? html`<button @click=${() => void this.#copy()}>
              ${this.isCopied ? "Copied" : "Copy"}
            </button>`
          : nothing
      }`;
  }

  async #copy() {
    await navigator.clipboard.writeText(this.secret);
    this.change({ isCopied: true });
  }
}

customElements.define("shown-once", ShownOnce);
