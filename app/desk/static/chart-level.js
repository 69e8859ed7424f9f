/**
 * The handle of one line of the chart: a label to drag, or to move with the arrow keys.
 * @module
 */
import { describe, onTick, resultAt } from "./chart-levels.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { price, signed, trend } from "./format.js";

/** How many ticks a key moves a line. */
const STEPS = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

export class ChartLevel extends DeskElement {
  static properties = { level: { attribute: false }, at: { attribute: false } };
  static styles = [
    shared,
    css`
      :host {
        position: absolute;
        top: -11px;
        left: 8px;
        z-index: 2;
        display: flex;
        height: 22px;
        border: 1px solid var(--tone);
        border-radius: 3px;
        background: var(--panel);
        font-size: var(--size-s);
        white-space: nowrap;
      }
      :host([kind="stop"]) {
        --tone: var(--down);
      }
      :host([kind="target"]) {
        --tone: var(--up);
      }
      :host([kind="alert"]) {
        --tone: var(--warn);
      }
      :host([kind="entry"]),
      :host([kind="order"]) {
        --tone: var(--accent);
      }
      .label {
        display: flex;
        gap: 6px;
        align-items: center;
        padding: 0 7px;
        color: var(--tone);
        font-weight: 550;
      }
      [role="slider"] {
        cursor: ns-resize;
        touch-action: none;
        user-select: none;
      }
      button {
        min-height: 0;
        min-width: 22px;
        padding: 0;
        border: 0;
        border-inline-start: 1px solid var(--line);
        border-radius: 0;
        background: none;
        color: var(--muted);
        line-height: 1;
      }
      .result {
        font-weight: 400;
      }
      @media (pointer: coarse) {
        :host {
          top: -15px;
          height: 30px;
        }
        button {
          min-width: 30px;
        }
      }
    `,
  ];

  constructor() {
    super();
    /** @type {import("./chart-levels.js").Level | null} */
    this.level = null;
    /** Where the line is while it is moved; null at its own price. @type {number | null} */
    this.at = null;
    this.tick = 0.05;
    /** @type {(y: number) => number | null} */
    this.priceAt = () => null;
  }

  render() {
    const level = this.level;
    if (!level) return nothing;
    this.setAttribute("kind", level.kind);
    const at = this.at ?? level.price;
    const result = resultAt(level, at);
    const text = html`${level.name} <span>${price(at)}</span> ${
        result === null
          ? nothing
          : html`<span class=${`result ${trend(result)}`}>${signed(result)}</span>`
      }`;
    return html`${level.field ? this.#handle(level, at, text) : html`<p class="label">${text}</p>`}
    ${
      level.removes
        ? html`<button
            aria-label=${`${level.removes}: ${describe(level, at)}`}
            title=${level.removes}
            @click=${() => this.#send("level-remove")}
          >
            ✕
          </button>`
        : nothing
    }`;
  }

  /**
   * @param {import("./chart-levels.js").Level} level
   * @param {number} at
   * @param {unknown} text
   */
  #handle(level, at, text) {
    return html`<div
      class="label"
      role="slider"
      tabindex="0"
      aria-orientation="vertical"
      aria-label=${level.name}
      aria-valuemin="0"
      aria-valuemax="10000000"
      aria-valuenow=${at}
      aria-valuetext=${describe(level, at)}
      title="Drag, or move with the arrow keys and Enter"
      @pointerdown=${this.#grab}
      @pointermove=${this.#drag}
      @pointerup=${this.#release}
      @pointercancel=${() => this.#send("level-move", null)}
      @keydown=${this.#key}
      @blur=${() => this.at !== null && this.#send("level-move", null)}
    >
      ${text}
    </div>`;
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0) return;
    /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    const handle = /** @type {HTMLElement} */ (event.currentTarget);
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const pane = /** @type {HTMLElement} */ (this.offsetParent);
    const at = this.priceAt(event.clientY - pane.getBoundingClientRect().top);
    if (at !== null) this.#send("level-move", onTick(at, this.tick));
  }

  #release() {
    if (this.at !== null) this.#send("level-drop", this.at);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const steps = STEPS[/** @type {keyof typeof STEPS} */ (event.key)];
    const at = this.at ?? this.level?.price ?? 0;
    if (steps) this.#send("level-move", onTick(at + steps * this.tick, this.tick));
    else if (event.key === "Enter" && this.at !== null) this.#send("level-drop", this.at);
    else if (event.key === "Escape" && this.at !== null) this.#send("level-move", null);
    else if (event.key === "Delete" && this.level?.removes) this.#send("level-remove");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * @param {"level-move" | "level-drop" | "level-remove"} name
   * @param {number | null} [at]
   */
  #send(name, at = null) {
    const detail = { id: this.level?.id, at };
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  }
}

customElements.define("chart-level", ChartLevel);
