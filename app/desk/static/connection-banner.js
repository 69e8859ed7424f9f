/**
 * A banner while neither prices nor events arrive.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { age } from "./format.js";
import { store } from "./store.js";

/** A connection that returns at once needs no banner, in milliseconds. */
const PATIENCE = 800;

export class ConnectionBanner extends DeskElement {
  static watches = ["connection", "clock"];
  static styles = [
    shared,
    css`
      p {
        padding: 6px 12px;
        background: var(--warn-soft);
        color: var(--warn);
        font-weight: 550;
        text-align: center;
      }
    `,
  ];

  render() {
    const isLost = store.get("connection") === "lost";
    const since = Date.now() - store.get("connectionSince");
    if (isLost && since < PATIENCE) setTimeout(() => this.requestUpdate(), PATIENCE);
    const isShown = isLost && since >= PATIENCE;
    // The region stays, so that a screen reader hears what appears in it. The age is not read out.
    return html`<div role="status">
      ${
        isShown
          ? html`<p>
              Connection lost: prices are out of date. Reconnecting …
              <span aria-hidden="true">(${age(since / 1_000)})</span>
            </p>`
          : nothing
      }
    </div>`;
  }
}

customElements.define("connection-banner", ConnectionBanner);
