/**
 * The movers: gainers, losers and the most active of the shares that the server watches.
 * @module
 */
import * as api from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { percent, price, shortName, trend, whole } from "./format.js";
import { store } from "./store.js";
import { choose } from "./symbols.js";

/** How many movers of each kind are shown. */
const COUNT = 8;
/** @type {{kind: "gainers" | "losers" | "most_active", title: string}[]} */
const LISTS = [
  { kind: "gainers", title: "Gainers" },
  { kind: "losers", title: "Losers" },
  { kind: "most_active", title: "Most active" },
];

export class MoversList extends DeskElement {
  static styles = [
    shared,
    css`
      :host {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(190px, 1fr));
        gap: 0 12px;
        padding: 4px 12px;
      }
      h2 {
        padding: 4px 0;
      }
      .message {
        grid-column: 1 / -1;
      }
      ol {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      button {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto 64px;
        gap: 8px;
        align-items: center;
        width: 100%;
        padding: 0;
        border: 0;
        border-bottom: 1px solid var(--line);
        border-radius: 0;
        background: none;
        text-align: start;
      }
      button:hover {
        background: var(--hover);
      }
      .name {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      strong {
        font-weight: 550;
      }
    `,
  ];

  /** @type {Movers | null} */
  movers = null;
  message = "";
  /** @type {() => void} */
  #stop = () => {};
  #isReading = false;

  connectedCallback() {
    super.connectedCallback();
    this.#stop = store.watch("clock", () => void this.#read());
    void this.#read();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#stop();
  }

  render() {
    if (this.message) return html`<p class="empty error message">${this.message}</p>`;
    if (!this.movers) return nothing;
    if (!this.movers.watched) {
      return html`<p class="empty message">
        No share is watched. Those of watchlists, trades and alerts appear here.
      </p>`;
    }
    return LISTS.map(
      ({ kind, title }) =>
        html`<section aria-label=${title}>
          <h2>${title}</h2>
          ${this.#list(kind)}
        </section>`,
    );
  }

  /** @param {"gainers" | "losers" | "most_active"} kind */
  #list(kind) {
    const found = this.movers?.[kind] ?? [];
    if (!found.length) return html`<p class="muted small">None so far.</p>`;
    return html`<ol>
      ${found.map((mover) => html`<li>${this.#mover(mover)}</li>`)}
    </ol>`;
  }

  /** @param {Mover} mover */
  #mover(mover) {
    const traded = mover.volume === undefined ? "" : ` · ${whole(mover.volume)} traded today`;
    return html`<button
      title=${`${mover.name}${mover.sector ? ` · ${mover.sector}` : ""}${traded}`}
      @click=${() => choose(mover.symbol)}
    >
      <span class="name"><strong>${shortName(mover.symbol)}</strong> ${this.#exchange(mover)}</span>
      <span class="number">${price(mover.price)}</span>
      <span class=${`number ${trend(mover.change)}`}>${percent(mover.change_pct)}</span>
    </button>`;
  }

  /** @param {Mover} mover */
  #exchange(mover) {
    return mover.symbol.endsWith(".BO") ? html`<span class="tag">BSE</span>` : nothing;
  }

  async #read() {
    // A slow server is not asked again before it has answered.
    if (this.#isReading || document.hidden) return;
    this.#isReading = true;
    try {
      const movers = await api.get("/market/movers", { limit: COUNT });
      this.change({ movers, message: "" });
    } catch (error) {
      this.change({ message: String(Object(error).message) });
    } finally {
      this.#isReading = false;
    }
  }
}

customElements.define("movers-list", MoversList);
