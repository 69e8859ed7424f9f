/**
 * Which events are sent by email and SMS. The desk shows all of them in any case.
 * @module
 */
import * as api from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { checkbox, FormState, formStyles } from "./form.js";
import { EVENTS } from "./reasons.js";

const PATH = "/notifications/preferences";
/** @typedef {{email: boolean, sms: boolean, events: string[]}} Preferences */

export class NotificationPreferences extends DeskElement {
  static styles = [
    shared,
    formStyles,
    css`
      form {
        display: grid;
        gap: 4px;
        padding: 12px;
      }
      h3 {
        margin-top: 10px;
        font-size: var(--size-m);
      }
      .types {
        display: grid;
        grid-template-columns: 1fr 1fr;
      }
      button {
        justify-self: start;
        margin-top: 10px;
      }
    `,
  ];

  form = new FormState(this);
  /** @type {Preferences | null} */
  saved = null;
  isSaved = false;

  connectedCallback() {
    super.connectedCallback();
    void this.form.run(async () => (this.saved = await api.get(PATH)));
  }

  render() {
    if (!this.saved) return this.form.error();
    const { email, sms, events } = this.saved;
    return html`<form @submit=${(/** @type {SubmitEvent} */ event) => void this.#submit(event)}>
      <p class="muted">The desk shows every event. Choose what is also sent to you.</p>
      ${checkbox("email", "By email", email)} ${checkbox("sms", "By SMS", sms)}
      <h3>Events that are sent</h3>
      <div class="types">
        ${Object.entries(EVENTS).map(([type, name]) => checkbox(type, name, events.includes(type)))}
      </div>
      ${this.form.error()} ${this.isSaved ? html`<p class="up" role="status">Saved.</p>` : nothing}
      <button class="primary" ?disabled=${this.form.isBusy}>Save</button>
    </form>`;
  }

  /** @param {SubmitEvent} event */
  async #submit(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const chosen = new FormData(form);
    const events = Object.keys(EVENTS).filter((type) => chosen.has(type));
    const body = { email: chosen.has("email"), sms: chosen.has("sms"), events };
    const isSaved = await this.form.run(async () => (this.saved = await api.put(PATH, body)));
    this.change({ isSaved });
  }
}

customElements.define("notification-preferences", NotificationPreferences);
