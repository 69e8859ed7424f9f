/**
 * The page of a person who is not signed in.
 * @module
 */
import { register, signIn, startDemo } from "./account.js";
import { ApiError } from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";

const FIELDS = {
  name: { label: "Name", type: "text", autocomplete: "name" },
  email: { label: "Email or client id", type: "text", autocomplete: "username" },
  phone: { label: "Mobile number", type: "tel", autocomplete: "tel" },
  password: { label: "Password", type: "password", autocomplete: "current-password" },
  totp: { label: "Code of your second factor", type: "text", autocomplete: "one-time-code" },
};
/** @typedef {keyof typeof FIELDS} Field */

export class SignIn extends DeskElement {
  static styles = [
    shared,
    css`
      :host {
        min-height: 100dvh;
        display: grid;
        place-items: center;
        padding: 16px;
        background: var(--page);
      }
      main {
        width: min(100%, 380px);
        padding: 28px;
        border: 1px solid var(--line);
        border-radius: 10px;
        background: var(--panel);
      }
      header {
        display: flex;
        gap: 12px;
        align-items: center;
        margin-bottom: 20px;
      }
      h1 {
        font-size: 18px;
        font-weight: 650;
        letter-spacing: -0.01em;
      }
      form {
        display: grid;
        gap: 12px;
      }
      .field {
        display: grid;
        gap: 4px;
      }
      label {
        color: var(--muted);
      }
      input {
        min-height: 36px;
        color: var(--text);
      }
      button {
        min-height: 38px;
      }
      .demo {
        width: 100%;
        min-height: 44px;
        font-size: var(--size-l);
      }
      .or {
        margin: 18px 0;
        color: var(--muted);
        font-size: var(--size-s);
        text-align: center;
      }
      footer {
        margin-top: 16px;
        color: var(--muted);
        text-align: center;
      }
    `,
  ];

  isNew = false;
  isBusy = false;
  needsCode = false;
  message = "";
  /** @type {Record<string, string>} */
  faults = {};

  render() {
    const hasDemo = document.documentElement.dataset.demo === "yes";
    return html`
      <main>
        <header>
          <img src="/desk/icon.svg" alt="" width="36" height="36" />
          <div>
            <h1>Paper Trading Desk</h1>
            <p class="muted">Live prices, simulated money.</p>
          </div>
        </header>
        ${hasDemo ? this.#demo() : nothing} ${this.#form()}
        <footer>
          <button class="plain" @click=${() => this.#switch()}>
            ${this.isNew ? "Sign in to an account" : "Create an account"}
          </button>
        </footer>
      </main>
    `;
  }

  #demo() {
    return html`
      <button class="primary demo" ?disabled=${this.isBusy} @click=${() => this.#run(startDemo)}>
        Start with a demo account
      </button>
      <p class="or">or ${this.isNew ? "create an account" : "sign in"}</p>
    `;
  }

  #form() {
    /** @type {Field[]} */
    const names = this.isNew ? ["name", "email", "phone", "password"] : ["email", "password"];
    if (this.needsCode) names.push("totp");
    return html`
      <form novalidate @submit=${(/** @type {SubmitEvent} */ event) => this.#submit(event)}>
        ${names.map((name) => this.#field(name))}
        <p class="error" role="alert" ?hidden=${!this.message}>${this.message}</p>
        <button
          class=${document.documentElement.dataset.demo === "yes" ? "" : "primary"}
          ?disabled=${this.isBusy}
        >
          ${this.isNew ? "Create account" : "Sign in"}
        </button>
      </form>
    `;
  }

  /** @param {Field} name */
  #field(name) {
    const { label, type, autocomplete } = FIELDS[name];
    const fault = this.faults[name] ?? (name === "email" ? this.faults.client_id : undefined);
    return html`
      <div class="field">
        <label for=${name}>${name === "email" && this.isNew ? "Email" : label}</label>
        <input
          id=${name}
          name=${name}
          type=${type}
          autocomplete=${this.isNew && name === "password" ? "new-password" : autocomplete}
          aria-invalid=${fault ? "true" : "false"}
          aria-describedby=${fault ? `fault-${name}` : nothing}
          required
        />
        ${fault ? html`<span class="error" id=${`fault-${name}`}>${fault}</span>` : nothing}
      </div>
    `;
  }

  #switch() {
    this.change({ isNew: !this.isNew, message: "", faults: {}, needsCode: false });
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const fields = Object.fromEntries(new FormData(form)).valueOf();
    const given = /** @type {Record<Field, string>} */ (fields);
    void this.#run(() => (this.isNew ? register(given) : signIn(given)));
  }

  /** @param {() => Promise<void>} task */
  async #run(task) {
    this.change({ isBusy: true, message: "", faults: {} });
    try {
      await task();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const isInvalid = error.code === "validation_error";
      this.change({
        message: error.code === "totp_required" ? "" : error.message,
        faults: isInvalid ? error.details : {},
        needsCode: this.needsCode || error.code.startsWith("totp_"),
      });
    } finally {
      this.change({ isBusy: false });
    }
  }
}

customElements.define("sign-in", SignIn);
