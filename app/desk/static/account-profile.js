/**
 * The profile: name, addresses and their confirmation, password.
 * @module
 */
import { sectionStyles } from "./account-table.js";
import * as api from "./api.js";
import { DeskElement, html, nothing, shared } from "./element.js";
import { field, FormState, formStyles } from "./form.js";
import { date } from "./format.js";
import { store } from "./store.js";

const PATH = "/auth/me";

export class AccountProfile extends DeskElement {
  static styles = [shared, formStyles, sectionStyles];

  /** @type {Profile | null} */
  profile = null;
  loading = new FormState(this);
  name = new FormState(this);
  addresses = new FormState(this);
  email = new FormState(this);
  phone = new FormState(this);
  newEmail = new FormState(this);
  password = new FormState(this);

  connectedCallback() {
    super.connectedCallback();
    void this.#read();
  }

  render() {
    const profile = this.profile;
    if (!profile) return this.loading.error();
    return html`
      <section aria-labelledby="profile">
        <h2 id="profile">Profile</h2>
        <p class="muted">
          ${profile.client_id}, registered ${date(profile.created_at)}. Second factor
          ${profile.totp_enabled ? "on" : "off"}.
        </p>
        <form @submit=${(/** @type {SubmitEvent} */ event) => void this.#rename(event)}>
          ${field(this.name, "name", "Name", { value: profile.name, autocomplete: "name" })}
          <button ?disabled=${this.name.isBusy}>Save name</button>
          ${this.name.error()}
        </form>
      </section>
      ${this.#addresses(profile)} ${this.#password()}
    `;
  }

  /** @param {Profile} profile */
  #addresses(profile) {
    return html`<section aria-labelledby="addresses">
      <h2 id="addresses">Email and phone</h2>
      <form @submit=${(/** @type {SubmitEvent} */ event) => void this.#change(event)}>
        ${field(this.addresses, "email", "Email", { value: profile.email, autocomplete: "email" })}
        ${field(this.addresses, "phone", "Phone", { value: profile.phone, autocomplete: "tel" })}
        ${field(this.addresses, "password", "Your password", {
          ...{ type: "password", autocomplete: "current-password" },
        })}
        <button ?disabled=${this.addresses.isBusy}>Change</button>
        ${this.addresses.error()}
      </form>
      ${
        profile.pending_email
          ? this.#code(this.newEmail, `the code sent to ${profile.pending_email}`, "/auth/me/email")
          : nothing
      }
      ${
        profile.email_confirmed
          ? nothing
          : this.#code(this.email, "the email", "/auth/verify/email", true)
      }
      ${
        profile.phone_confirmed
          ? nothing
          : this.#code(this.phone, "the phone", "/auth/verify/phone", true)
      }
    </section>`;
  }

  /**
   * A form for a code that was sent, or that is sent on request.
   * @param {FormState} form
   * @param {string} what
   * @param {string} path
   * @param {boolean} [canSend]
   */
  #code(form, what, path, canSend = false) {
    return html`<form
      @submit=${(/** @type {SubmitEvent} */ event) => void this.#confirm(form, path, event)}
    >
      ${field(form, "code", `Confirm ${what}: six digits`, { autocomplete: "one-time-code" })}
      <button value="confirm" ?disabled=${form.isBusy}>Confirm</button>
      ${
        canSend
          ? html`<button value="send" class="plain" ?disabled=${form.isBusy}>Send a code</button>`
          : nothing
      }
      ${form.error()}
    </form>`;
  }

  #password() {
    const hidden = { type: "password" };
    return html`<section aria-labelledby="password">
      <h2 id="password">Password</h2>
      <form @submit=${(/** @type {SubmitEvent} */ event) => void this.#changePassword(event)}>
        ${field(this.password, "current_password", "Password until now", {
          ...{ ...hidden, autocomplete: "current-password" },
        })}
        ${field(this.password, "new_password", "New password", {
          ...{ ...hidden, autocomplete: "new-password" },
        })}
        <button ?disabled=${this.password.isBusy}>Change password</button>
        ${this.password.error()}
      </form>
      <p class="muted">Your other sessions end when it changes.</p>
    </section>`;
  }

  #read() {
    return this.loading.run(async () => (this.profile = await api.get(PATH)));
  }

  /** @param {SubmitEvent} event */
  #rename(event) {
    return this.name.submit(event, async ({ name }) => {
      this.profile = await api.patch(PATH, { name });
      say("The name was changed.");
    });
  }

  /** @param {SubmitEvent} event */
  #change(event) {
    const { email, phone } = /** @type {Profile} */ (this.profile);
    return this.addresses.submit(event, async (fields) => {
      const changes = {
        ...(fields.email === email ? {} : { email: fields.email }),
        ...(fields.phone === phone ? {} : { phone: fields.phone }),
      };
      this.profile = await api.patch(PATH, { ...changes, password: fields.password });
      say(this.profile?.pending_email ? "A code was sent to the new email." : "Changed.");
    });
  }

  /**
   * @param {FormState} form
   * @param {string} path
   * @param {SubmitEvent} event
   */
  #confirm(form, path, event) {
    const isRequest = /** @type {HTMLButtonElement} */ (event.submitter)?.value === "send";
    return form.submit(event, async ({ code }) => {
      const { message } = await api.post(path, isRequest ? {} : { code });
      say(message);
      await this.#read();
    });
  }

  /** @param {SubmitEvent} event */
  #changePassword(event) {
    return this.password.submit(event, async (fields) => {
      const { message } = await api.post("/auth/password", fields);
      say(message);
    });
  }
}

/** @param {string} text */
function say(text) {
  store.emit("toast", { kind: "success", text });
}

customElements.define("account-profile", AccountProfile);
