/**
 * A number that is edited in place: a press turns it into a field, Enter saves, Escape restores.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { price, whole } from "./format.js";
import { parseNumber } from "./sizing.js";

export class LevelField extends DeskElement {
  static properties = {
    value: { attribute: false },
    label: {},
    save: { attribute: false },
    isWhole: { attribute: false },
    isRequired: { attribute: false },
  };
  static styles = [
    shared,
    css`
      :host {
        display: inline-block;
        position: relative;
      }
      button {
        min-width: 56px;
        min-height: 22px;
        padding: 0 4px;
        border-color: transparent;
        border-bottom: 1px dashed var(--line-strong);
        border-radius: 3px 3px 0 0;
        background: none;
        text-align: end;
      }
      button:hover {
        background: var(--raised);
      }
      input {
        width: 84px;
        min-height: 24px;
        text-align: end;
      }
      .error {
        position: absolute;
        z-index: 4;
        top: 100%;
        inset-inline-end: 0;
        width: max-content;
        max-width: 240px;
        padding: 4px 8px;
        border: 1px solid var(--down);
        border-radius: var(--radius);
        background: var(--panel);
        text-align: start;
        white-space: normal;
      }
    `,
  ];

  constructor() {
    super();
    /** @type {number | null} */
    this.value = null;
    this.label = "";
    this.isWhole = false;
    this.isRequired = false;
    /** Saves a new value, null for none; throws ApiError. */
    this.save = /** @type {(value: number | null) => Promise<unknown>} */ (async () => {});
  }

  isEditing = false;
  isBusy = false;
  message = "";

  render() {
    const shown = this.value === null ? "Add" : (this.isWhole ? whole : price)(this.value);
    if (!this.isEditing) {
      return html`<button
        class=${this.value === null ? "muted" : ""}
        aria-label=${`${this.label}: ${shown}. Edit`}
        @click=${() => this.change({ isEditing: true })}
      >
        ${shown}
      </button>`;
    }
    return html`<input
        inputmode="decimal"
        autocomplete="off"
        aria-label=${this.label}
        aria-invalid=${this.message ? "true" : "false"}
        aria-describedby=${this.message ? "message" : nothing}
        placeholder=${this.isRequired ? "" : "none"}
        .value=${this.value === null ? "" : String(this.value)}
        ?disabled=${this.isBusy}
        @keydown=${(/** @type {KeyboardEvent} */ event) => this.#key(event)}
        @blur=${() => !this.message && !this.isBusy && this.change({ isEditing: false })}
      />
      <p id="message" class="error" role="alert" ?hidden=${!this.message}>${this.message}</p>`;
  }

  updated() {
    const input = this.renderRoot.querySelector("input");
    if (input && !input.matches(":focus") && !this.isBusy && !this.message) input.select();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const text = /** @type {HTMLInputElement} */ (event.target).value;
    if (event.key === "Escape") this.change({ isEditing: false, message: "" });
    else if (event.key === "Enter") void this.#save(parseNumber(text));
    else return;
    event.stopPropagation();
    event.preventDefault();
  }

  /** @param {number | null} value */
  async #save(value) {
    if (Number.isNaN(value)) return this.change({ message: "This is not a number." });
    if (value === null && this.isRequired) return this.change({ message: "Enter a number." });
    if (value === this.value) return this.change({ isEditing: false, message: "" });
    this.change({ isBusy: true });
    try {
      await this.save(value);
      this.change({ isEditing: false, message: "" });
    } catch (error) {
      this.change({ message: String(Object(error).message) });
    } finally {
      this.change({ isBusy: false });
    }
  }
}

customElements.define("level-field", LevelField);
