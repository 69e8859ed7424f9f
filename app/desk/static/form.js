/**
 * Forms: a field with its error beside it, and sending one without two at once.
 * @module
 */
import { ApiError } from "./api.js";
import { css, html, nothing } from "./element.js";
import { words } from "./reasons.js";

/** The fields that may be wrong if the API refuses a request with one of these codes. */
const FIELDS_OF_CODES = {
  password_wrong: ["password", "current_password"],
  totp_invalid: ["totp"],
  totp_wrong: ["code"],
  code_wrong: ["code"],
  code_expired: ["code"],
  email_taken: ["email"],
  webhook_url_refused: ["url"],
};

/** The state of a form that is being filled in. */
export class FormState {
  isBusy = false;
  /** The error as a whole, in the API's words. */
  message = "";
  /** What is wrong with each field, by its name. @type {Record<string, string>} */
  faults = {};

  /** The fields that the form shows, with their errors. @type {Set<string>} */
  shown = new Set();

  /** @param {{requestUpdate: () => void}} element which shows the form */
  constructor(element) {
    this.element = element;
  }

  /**
   * Send the fields of a form; return whether that succeeded. Then the form is emptied.
   * @param {SubmitEvent} event
   * @param {(fields: Record<string, string>) => Promise<unknown>} send
   */
  async submit(event, send) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const fields = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
    const isDone = await this.run(() => send(fields));
    if (isDone) form.reset();
    return isDone;
  }

  /**
   * Run a request unless one is running; keep its error for the fields.
   * @param {() => Promise<unknown>} task
   */
  async run(task) {
    if (this.isBusy) return false;
    this.#set({ isBusy: true, message: "", faults: {} });
    try {
      await task();
      this.#set({ isBusy: false });
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#set({ isBusy: false, message: error.message, faults: this.#faultsOf(error) });
      return false;
    }
  }

  /**
   * Return what is wrong with each field.
   * @param {ApiError} error
   * @returns {Record<string, string>}
   */
  #faultsOf(error) {
    if (error.code === "validation_error") return error.details;
    const { param } = error.details;
    const names = FIELDS_OF_CODES[/** @type {keyof typeof FIELDS_OF_CODES} */ (error.code)] ?? [];
    const name = [param, ...names].find((each) => this.shown.has(each));
    return name ? { [name]: error.message } : {};
  }

  /** @param {Partial<FormState>} fields */
  #set(fields) {
    Object.assign(this, fields);
    this.element.requestUpdate();
  }

  /** The error as a whole, for the end of the form; nothing if the fields tell all of it. */
  error() {
    const names = Object.keys(this.faults);
    const others = names.filter((name) => !this.shown.has(name));
    if (!this.message || (names.length && !others.length)) return nothing;
    const rest = others.map((name) => `${words(name)} ${this.faults[name]}`);
    return html`<p class="error" role="alert">${names.length ? rest.join("; ") : this.message}</p>`;
  }
}

/**
 * Show a labelled field with its error.
 * @param {FormState} form
 * @param {string} name
 * @param {string} label
 * @param {{type?: string, value?: string | number, autocomplete?: string, step?: string, fault?: string}} [options]
 */
export function field(form, name, label, options = {}) {
  const { type = "text", value = "", autocomplete = "off", step = "any" } = options;
  const faultName = options.fault ?? name;
  form.shown.add(faultName);
  const fault = form.faults[faultName];
  return html`<label>
    ${label}
    <input
      name=${name}
      type=${type}
      step=${type === "number" ? step : nothing}
      inputmode=${type === "number" ? "decimal" : nothing}
      autocomplete=${autocomplete}
      .value=${String(value)}
      aria-invalid=${fault ? "true" : "false"}
      aria-describedby=${fault ? `${name}-fault` : nothing}
    />
    ${
      fault ? html`<span id=${`${name}-fault`} class="error" role="alert">${fault}</span>` : nothing
    }
  </label>`;
}

/**
 * Show a box to tick.
 * @param {string} name
 * @param {string} label
 * @param {boolean} [isChosen]
 */
export function checkbox(name, label, isChosen = false) {
  return html`<label><input type="checkbox" name=${name} .checked=${isChosen} />${label}</label>`;
}

/** The styles of forms. */
export const formStyles = css`
  form {
    display: flex;
    flex-wrap: wrap;
    gap: 10px;
    align-items: end;
  }
  label {
    display: grid;
    gap: 3px;
    color: var(--muted);
    font-size: var(--size-s);
  }
  label:has([type="checkbox"]) {
    display: flex;
    gap: 8px;
    align-items: center;
    min-height: 28px;
    color: var(--text);
    font-size: var(--size-m);
  }
  input,
  select {
    color: var(--text);
    font-size: var(--size-m);
  }
  form > .error {
    flex-basis: 100%;
  }
  @media (max-width: 760px) {
    form > label {
      flex-basis: 100%;
    }
  }
`;
