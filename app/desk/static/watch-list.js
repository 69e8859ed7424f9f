/**
 * The watchlist: live prices of the user's symbols, and a search that adds more.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { FollowedSymbols } from "./followed-symbols.js";
import { shortName } from "./format.js";
import { store } from "./store.js";
import { choose, openTicket, readMissing } from "./symbols.js";
import { addSymbol, keepForNextVisit, readLists, removeSymbol, shownList } from "./watch-lists.js";
import "./list-picker.js";
import "./symbol-search.js";
import "./watch-row.js";

export class WatchListPanel extends DeskElement {
  static watches = ["lists", "listId", "symbol"];
  static styles = [
    shared,
    css`
      :host {
        display: flex;
        flex-direction: column;
        height: 100%;
        background: var(--panel);
      }
      ol {
        flex: 1;
        margin: 0;
        padding: 0;
        overflow-y: auto;
        list-style: none;
        scrollbar-width: thin;
      }
      li.dragged {
        opacity: 0.4;
      }
      li.target {
        box-shadow: 0 -2px var(--accent);
      }
    `,
  ];

  /** @type {string | null} */
  dragged = null;
  /** @type {string | null} */
  target = null;
  message = "";
  #followed = new FollowedSymbols();

  connectedCallback() {
    super.connectedCallback();
    void this.#read();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#followed.clear();
  }

  render() {
    const symbols = shownList()?.symbols ?? [];
    return html`
      <symbol-search></symbol-search>
      <ol
        aria-label="Watchlist"
        @keydown=${(/** @type {KeyboardEvent} */ event) => this.#key(event)}
      >
        ${symbols.map((symbol, place) => this.#item(symbol, place))}
      </ol>
      ${
        symbols.length || !shownList()
          ? nothing
          : html`<p class="empty">Search above to add symbols.</p>`
      }
      ${
        this.message
          ? html`<p class="empty error">
              ${this.message} <button @click=${() => this.#read()}>Try again</button>
            </p>`
          : nothing
      }
      <list-picker></list-picker>
    `;
  }

  /**
   * @param {string} symbol
   * @param {number} place
   */
  #item(symbol, place) {
    const chosen = store.get("symbol");
    const state = symbol === this.dragged ? "dragged" : symbol === this.target ? "target" : "";
    return html`<li
      class=${state}
      draggable="true"
      @dragstart=${() => this.change({ dragged: symbol })}
      @dragend=${() => this.change({ dragged: null, target: null })}
      @dragover=${(/** @type {DragEvent} */ event) => {
        event.preventDefault();
        if (this.target !== symbol) this.change({ target: symbol });
      }}
      @drop=${() => this.dragged && addSymbol(this.dragged, place)}
    >
      <watch-row
        .symbol=${symbol}
        .isCurrent=${symbol === chosen}
        .isEntry=${symbol === chosen || (place === 0 && !shownList()?.symbols.includes(chosen))}
      ></watch-row>
    </li>`;
  }

  updated() {
    const symbols = shownList()?.symbols ?? [];
    if (this.#followed.set(symbols)) void readMissing(symbols).then(keepForNextVisit, () => {});
  }

  async #read() {
    try {
      await readLists();
      this.change({ message: "" });
    } catch (error) {
      this.change({ message: String(Object(error).message) });
    }
  }

  /** @param {string} symbol */
  #remove(symbol) {
    const place = shownList()?.symbols.indexOf(symbol);
    void removeSymbol(symbol);
    const text = `${shortName(symbol)} was removed from the list.`;
    const action = { label: "Undo", run: () => void addSymbol(symbol, place) };
    store.emit("toast", { kind: "info", text, action });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const symbols = shownList()?.symbols ?? [];
    const row = event.composedPath().find((each) => Object(each).localName === "watch-row");
    const symbol = /** @type {any} */ (row)?.symbol;
    const place = symbols.indexOf(symbol);
    if (place < 0 || event.ctrlKey || event.metaKey) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    const next = Math.max(0, Math.min(symbols.length - 1, place + step));
    const key = event.key.toUpperCase();
    if (step && event.altKey) void addSymbol(symbol, next);
    else if (step) choose(symbols[next]);
    else if (key === "B" || key === "S") openTicket(symbol, key === "B" ? "BUY" : "SELL");
    else if (key === "DELETE") this.#remove(symbol);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (step) void this.updateComplete.then(() => this.#focus(next));
  }

  /** @param {number} place */
  #focus(place) {
    const row = this.renderRoot.querySelectorAll("watch-row")[place];
    const button = row?.shadowRoot?.querySelector("button");
    button?.focus();
    button?.scrollIntoView({ block: "nearest" });
  }
}

customElements.define("watch-list", WatchListPanel);
