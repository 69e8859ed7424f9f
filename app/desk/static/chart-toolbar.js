/**
 * The toolbar of the chart: interval, indicators, full screen.
 * @module
 */
import { INTERVALS } from "./chart-candles.js";
import { INDICATORS } from "./chart-indicators.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";

/** @typedef {import("./chart-settings.js").Settings} Settings */

export class ChartToolbar extends DeskElement {
  static properties = { settings: { attribute: false }, isWide: { attribute: false } };
  static styles = [
    shared,
    css`
      :host {
        position: relative;
        z-index: 4;
        display: flex;
        gap: 2px;
        align-items: center;
        padding: 3px 8px;
        border-bottom: 1px solid var(--line);
      }
      .intervals {
        display: flex;
        gap: 2px;
      }
      button {
        padding: 2px 8px;
        color: var(--muted);
      }
      button[aria-pressed="true"] {
        background: var(--accent-soft);
        color: var(--accent);
        font-weight: 600;
      }
      .wide {
        margin-inline-start: auto;
      }
      @media (max-width: 760px) {
        .word {
          display: none;
        }
        button {
          padding: 2px 6px;
        }
      }
      .menu {
        position: absolute;
        top: 100%;
        left: 8px;
        display: grid;
        gap: 2px;
        padding: 8px 12px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--panel);
        box-shadow: var(--shadow);
      }
      label {
        display: flex;
        gap: 8px;
        align-items: center;
        min-height: 28px;
        cursor: pointer;
      }
    `,
  ];

  constructor() {
    super();
    /** @type {Settings} */
    this.settings = { interval: "5m", indicators: [] };
    this.isWide = false;
    this.isOpen = false;
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("pointerdown", this.#pressed);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("pointerdown", this.#pressed);
  }

  render() {
    const { interval, indicators } = this.settings;
    const label = this.isWide ? "Close full screen" : "Full screen";
    return html`
      <div class="intervals" role="group" aria-label="Interval">
        ${Object.entries(INTERVALS).map(
          ([name, { label }]) =>
            html`<button
              class="plain"
              aria-label=${`${name}, ${label}`}
              aria-pressed=${name === interval ? "true" : "false"}
              @click=${() => this.#choose({ interval: name })}
            >
              ${name}
            </button>`,
        )}
      </div>
      <div class="indicators" @keydown=${this.#key} @focusout=${this.#leave}>
        <button
          class="plain"
          aria-expanded=${this.isOpen ? "true" : "false"}
          aria-controls="menu"
          @click=${() => this.change({ isOpen: !this.isOpen })}
        >
          Indicators${indicators.length ? ` (${indicators.length})` : ""} ▾
        </button>
        ${this.isOpen ? this.#menu(indicators) : nothing}
      </div>
      <button
        class="plain wide"
        aria-label=${label}
        title=${label}
        aria-pressed=${this.isWide ? "true" : "false"}
        @click=${() => this.dispatchEvent(new CustomEvent("wide"))}
      >
        ${this.isWide ? "✕" : "⤢"}<span class="word"> ${label}</span>
      </button>
    `;
  }

  /** @param {string[]} chosen */
  #menu(chosen) {
    return html`<div id="menu" class="menu" role="group" aria-label="Indicators" tabindex="-1">
      ${INDICATORS.map(
        ({ name, label }) =>
          html`<label>
            <input
              type="checkbox"
              .checked=${chosen.includes(name)}
              @change=${() => this.#toggle(name)}
            />
            ${label}
          </label>`,
      )}
    </div>`;
  }

  /** @param {string} name */
  #toggle(name) {
    const { indicators } = this.settings;
    const has = indicators.includes(name);
    this.#choose({
      indicators: has ? indicators.filter((each) => each !== name) : [...indicators, name],
    });
  }

  /** @param {Record<string, unknown>} change */
  #choose(change) {
    const detail = { ...this.settings, ...change };
    this.dispatchEvent(new CustomEvent("choose", { detail }));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Escape" || !this.isOpen) return;
    event.stopPropagation();
    this.change({ isOpen: false });
    /** @type {HTMLElement | null} */ (
      this.renderRoot.querySelector(".indicators button")
    )?.focus();
  }

  /** Close the menu if something else is pressed. */
  #pressed = (/** @type {PointerEvent} */ event) => {
    if (this.isOpen && !event.composedPath().includes(this)) this.change({ isOpen: false });
  };

  /** @param {FocusEvent} event */
  #leave(event) {
    const menu = /** @type {HTMLElement} */ (event.currentTarget);
    const next = /** @type {Node | null} */ (event.relatedTarget);
    if (next && !menu.contains(next)) this.change({ isOpen: false });
  }
}

customElements.define("chart-toolbar", ChartToolbar);
