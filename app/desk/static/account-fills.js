/**
 * How the next trades of the portfolio are filled, with what each choice means.
 * @module
 */
import { setFillProfile } from "./account-data.js";
import { sectionStyles } from "./account-table.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { FormState, formStyles } from "./form.js";
import { FILL_PROFILE_MEANINGS, FILL_PROFILES } from "./reasons.js";
import { store } from "./store.js";

export class AccountFills extends DeskElement {
  static watches = ["portfolio"];
  static styles = [
    shared,
    formStyles,
    sectionStyles,
    css`
      fieldset {
        display: grid;
        gap: 8px;
        margin: 0;
        padding: 0;
        border: 0;
      }
      legend {
        margin-bottom: 8px;
        padding: 0;
        color: var(--muted);
      }
      form {
        display: grid;
        justify-items: start;
      }
      label {
        grid-template-columns: auto minmax(0, 1fr);
        gap: 2px 10px;
        align-items: center;
        max-width: 640px;
        padding: 8px 12px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        cursor: pointer;
      }
      label:has(:checked) {
        border-color: var(--accent);
        background: var(--accent-soft);
      }
      input {
        width: auto;
        min-height: 0;
        margin: 0;
        accent-color: var(--accent);
      }
      strong {
        color: var(--text);
        font-size: var(--size-m);
        font-weight: 600;
      }
      span {
        grid-column: 2;
      }
    `,
  ];

  /** The profile that the user has chosen and not saved, empty if none. */
  chosen = "";
  form = new FormState(this);
  #name = "";

  willUpdate() {
    const name = store.get("portfolio")?.name ?? "";
    if (name === this.#name) return;
    this.#name = name;
    this.chosen = "";
  }

  render() {
    const portfolio = store.get("portfolio");
    if (!portfolio) return nothing;
    const { name, fill_profile: saved } = portfolio;
    const shown = this.chosen || saved;
    return html`<section aria-labelledby="fills">
      <h2 id="fills">Fills of ${name}</h2>
      <form @submit=${(/** @type {Event} */ event) => void this.#save(event)}>
        <fieldset>
          <legend>
            How its next trades are filled. A trade keeps what holds when it is placed.
          </legend>
          ${Object.keys(FILL_PROFILES).map((each) => this.#choice(each, each === shown))}
        </fieldset>
        <button ?disabled=${this.form.isBusy || shown === saved}>Save</button>
        ${this.form.error()}
      </form>
    </section>`;
  }

  /**
   * @param {string} profile
   * @param {boolean} isShown
   */
  #choice(profile, isShown) {
    return html`<label>
      <input
        type="radio"
        name="fill_profile"
        value=${profile}
        .checked=${isShown}
        aria-describedby=${`about-${profile}`}
        @change=${() => this.change({ chosen: profile })}
      />
      <strong>${FILL_PROFILES[profile]}</strong>
      <span id=${`about-${profile}`}>${FILL_PROFILE_MEANINGS[profile]}</span>
    </label>`;
  }

  /** @param {Event} event */
  async #save(event) {
    event.preventDefault();
    const { chosen } = this;
    const isSaved = await this.form.run(() => setFillProfile(chosen));
    if (!isSaved) return;
    this.change({ chosen: "" });
    const text = `The next trades of ${this.#name} are filled by the profile “${FILL_PROFILES[chosen]}”.`;
    store.emit("toast", { kind: "success", text });
  }
}

customElements.define("account-fills", AccountFills);
