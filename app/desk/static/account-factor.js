/**
 * The second factor: setting up an authenticator app, recovery codes, turning it off.
 * @module
 */
import { sectionStyles } from "./account-table.js";
import * as api from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { field, FormState, formStyles } from "./form.js";
import "./shown-once.js";
import { store } from "./store.js";

const PATH = "/auth/totp";
const PASSWORD = { type: "password", autocomplete: "current-password" };
const CODE = { autocomplete: "one-time-code" };

/** @typedef {{secret: string, otpauth_uri: string, qr_svg: string}} Setup */

export class AccountFactor extends DeskElement {
  static styles = [
    shared,
    formStyles,
    sectionStyles,
    css`
      .setup {
        display: flex;
        flex-wrap: wrap;
        gap: 20px;
        margin-top: 14px;
      }
      .setup > div {
        display: grid;
        flex: 1 1 260px;
        gap: 10px;
        align-content: start;
      }
      img {
        width: 200px;
        height: 200px;
        border-radius: var(--radius);
        background: var(--paper);
      }
      code {
        overflow-wrap: anywhere;
        user-select: all;
      }
    `,
  ];

  /** Whether it is on, null while that is unknown. @type {boolean | null} */
  isOn = null;
  /** The secret that waits for its first code. @type {Setup | null} */
  setup = null;
  /** @type {string[]} */
  recoveryCodes = [];
  loading = new FormState(this);
  beginning = new FormState(this);
  confirming = new FormState(this);
  changing = new FormState(this);

  connectedCallback() {
    super.connectedCallback();
    void this.loading.run(async () => {
      this.isOn = (await api.get("/auth/me")).totp_enabled;
    });
  }

  render() {
    if (this.isOn === null) return this.loading.error();
    return html`<section aria-labelledby="factor">
      <h2 id="factor">Second factor: ${this.isOn ? "on" : "off"}</h2>
      <p class="muted">With it, a sign-in needs the password and a code of an authenticator app.</p>
      ${
        this.recoveryCodes.length
          ? html`<shown-once
              what="these recovery codes, each of which replaces the app once,"
              .secret=${this.recoveryCodes.join("\n")}
            ></shown-once>`
          : nothing
      }
      ${this.isOn ? this.#change() : this.setup ? this.#confirm(this.setup) : this.#begin()}
    </section>`;
  }

  #begin() {
    const { beginning } = this;
    return html`<form
      novalidate
      @submit=${(/** @type {SubmitEvent} */ event) =>
        beginning.submit(event, async (fields) => {
          this.setup = await api.post(PATH, fields);
        })}
    >
      ${field(beginning, "password", "Your password", PASSWORD)}
      <button class="primary" ?disabled=${beginning.isBusy}>Set up an app</button>
      ${beginning.error()}
    </form>`;
  }

  /** @param {Setup} setup */
  #confirm({ secret, otpauth_uri: address, qr_svg: drawing }) {
    const { confirming } = this;
    return html`<div class="setup">
      <img src=${imageOf(drawing)} alt="QR code of the secret below" />
      <div>
        <p>Scan the code with the app, or <a href=${address}>open the app on this device</a>.</p>
        <p>Or type the secret: <code>${secret}</code></p>
        <form
          novalidate
          @submit=${(/** @type {SubmitEvent} */ event) =>
            confirming.submit(event, async (fields) => {
              const { recovery_codes: codes } = await api.post(`${PATH}/confirm`, fields);
              Object.assign(this, { isOn: true, setup: null, recoveryCodes: codes });
            })}
        >
          ${field(confirming, "code", "The code that the app shows", CODE)}
          <button class="primary" ?disabled=${confirming.isBusy}>Turn on</button>
          <button type="button" class="plain" @click=${() => this.change({ setup: null })}>
            Not now
          </button>
          ${confirming.error()}
        </form>
      </div>
    </div>`;
  }

  #change() {
    const { changing } = this;
    return html`<form
      novalidate
      @submit=${(/** @type {SubmitEvent} */ event) => void this.#send(event)}
    >
      ${field(changing, "password", "Your password", PASSWORD)}
      ${field(changing, "totp", "Code of the app, or a recovery code", CODE)}
      <button value="codes" ?disabled=${changing.isBusy}>New recovery codes</button>
      <button value="off" ?disabled=${changing.isBusy}>Turn off</button>
      ${changing.error()}
    </form>`;
  }

  /** @param {SubmitEvent} event */
  #send(event) {
    const isOff = /** @type {HTMLButtonElement} */ (event.submitter)?.value === "off";
    return this.changing.submit(event, async (fields) => {
      if (isOff) {
        const { message } = await api.post(`${PATH}/disable`, fields);
        Object.assign(this, { isOn: false, recoveryCodes: [] });
        store.emit("toast", { kind: "success", text: message });
      } else {
        const { recovery_codes: codes } = await api.post(`${PATH}/recovery-codes`, fields);
        this.recoveryCodes = codes;
      }
    });
  }
}

/**
 * Return the address of a drawing, which an image needs to be a whole document.
 * @param {string} svg an SVG element as it stands in HTML
 */
function imageOf(svg) {
  const drawing = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ');
  return `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}

customElements.define("account-factor", AccountFactor);
