/**
 * A search for symbols and names that adds the chosen one to the watchlist.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { shortName } from "./format.js";
import { choose, search } from "./symbols.js";
import { addSymbol, shownList } from "./watch-lists.js";

/** How long to wait for the next letter, in milliseconds. */
const PAUSE = 150;

export class SymbolSearch extends DeskElement {
  static styles = [
    shared,
    css`
      :host {
        position: relative;
        padding: 8px;
        border-bottom: 1px solid var(--line);
      }
      input {
        background: var(--raised);
        border-color: var(--line);
      }
      ul {
        position: absolute;
        z-index: 5;
        inset-inline: 8px;
        max-height: 60vh;
        margin: 2px 0 0;
        padding: 4px 0;
        overflow-y: auto;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--panel);
        box-shadow: var(--shadow);
        list-style: none;
      }
      li {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 0 8px;
        padding: 6px 10px;
        cursor: pointer;
      }
      li[aria-selected="true"],
      li:hover {
        background: var(--hover);
      }
      .name {
        grid-column: 1;
        overflow: hidden;
        color: var(--muted);
        font-size: var(--size-s);
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .sector {
        grid-column: 1 / -1;
        line-height: 1.2;
      }
      .sector:empty {
        display: none;
      }
    `,
  ];

  text = "";
  /** @type {Instrument[]} */
  found = [];
  selected = 0;
  message = "";
  #timer = 0;

  render() {
    const isOpen = this.text !== "";
    return html`
      <input
        type="search"
        role="combobox"
        aria-label="Search symbols to add"
        aria-expanded=${isOpen ? "true" : "false"}
        aria-controls="found"
        aria-autocomplete="list"
        aria-activedescendant=${isOpen && this.found.length ? `option-${this.selected}` : nothing}
        placeholder="Search and add: SBI, bank nifty …"
        autocomplete="off"
        spellcheck="false"
        .value=${this.text}
        @input=${(/** @type {InputEvent} */ event) => this.#input(event)}
        @keydown=${(/** @type {KeyboardEvent} */ event) => this.#key(event)}
        @blur=${() => this.#close()}
      />
      <ul id="found" role="listbox" aria-label="Symbols found" ?hidden=${!isOpen}>
        ${this.found.map((each, place) => this.#option(each, place))}
        ${this.message ? html`<li role="option" aria-selected="false">${this.message}</li>` : nothing}
      </ul>
    `;
  }

  /**
   * @param {Instrument} found
   * @param {number} place
   */
  #option(found, place) {
    const isListed = shownList()?.symbols.includes(found.symbol);
    return html`<li
      id=${`option-${place}`}
      role="option"
      aria-selected=${place === this.selected ? "true" : "false"}
      @pointerdown=${(/** @type {Event} */ event) => event.preventDefault()}
      @click=${() => this.#add(found)}
    >
      <span>${shortName(found.symbol)}</span>
      <span class="tag">${isListed ? "in the list" : found.exchange}</span>
      <span class="name">${found.name}</span>
      <span class="name sector">${found.sector ?? ""}</span>
    </li>`;
  }

  focus() {
    this.renderRoot.querySelector("input")?.focus();
  }

  /** @param {InputEvent} event */
  #input(event) {
    const text = /** @type {HTMLInputElement} */ (event.target).value;
    this.change({ text });
    clearTimeout(this.#timer);
    if (text.trim()) this.#timer = setTimeout(() => this.#search(text.trim()), PAUSE);
    else this.change({ found: [], message: "" });
  }

  /** @param {string} text */
  async #search(text) {
    try {
      const found = await search(text);
      // A later letter may have overtaken this answer.
      if (this.text.trim() !== text) return;
      const message = found.length ? "" : `Nothing is called “${text}”.`;
      this.change({ found, selected: 0, message });
    } catch (error) {
      this.change({ found: [], message: String(Object(error).message) });
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const last = Math.max(0, this.found.length - 1);
    if (event.key === "ArrowDown") this.change({ selected: Math.min(last, this.selected + 1) });
    else if (event.key === "ArrowUp") this.change({ selected: Math.max(0, this.selected - 1) });
    else if (event.key === "Enter" && this.found[this.selected]) {
      this.#add(this.found[this.selected]);
    } else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
  }

  /** @param {Instrument} found */
  #add(found) {
    void addSymbol(found.symbol);
    choose(found.symbol);
    this.#close();
  }

  #close() {
    clearTimeout(this.#timer);
    this.change({ text: "", found: [], message: "", selected: 0 });
  }
}

customElements.define("symbol-search", SymbolSearch);
