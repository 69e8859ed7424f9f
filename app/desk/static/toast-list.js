/**
 * Short messages at the edge of the screen: what happened, and errors, with an action if any.
 * @module
 */
import { css, DeskElement, html, shared } from "./element.js";
import { icon } from "./icons.js";
import "./notifications.js";
import { store } from "./store.js";

/** How long a toast stays, in milliseconds; an error or an offer stays longer. */
const SHORT = 6_000;
const LONG = 12_000;
const MOST = 4;
const SIGNS = { info: "i", success: "✓", error: "!" };

/** @typedef {Toast & {id: number}} Shown */

export class ToastList extends DeskElement {
  static styles = [
    shared,
    css`
      :host {
        position: fixed;
        z-index: 60;
        inset-block-end: 16px;
        inset-inline-end: 16px;
        width: min(380px, calc(100vw - 32px));
        pointer-events: none;
      }
      .list {
        display: flex;
        flex-direction: column;
        gap: 8px;
      }
      .toast {
        display: grid;
        grid-template-columns: auto minmax(0, 1fr) auto auto;
        gap: 10px;
        align-items: center;
        padding: 8px 8px 8px 12px;
        border: 1px solid var(--line);
        border-inline-start: 3px solid var(--tone);
        border-radius: var(--radius);
        background: var(--panel);
        box-shadow: var(--shadow);
        pointer-events: auto;
      }
      .info {
        --tone: var(--accent);
      }
      .success {
        --tone: var(--up);
      }
      .fault {
        --tone: var(--down);
      }
      .sign {
        color: var(--tone);
        font-weight: 700;
      }
      .text {
        overflow-wrap: anywhere;
      }
      .close {
        min-width: 28px;
        padding: 0;
        color: var(--muted);
        line-height: 0;
      }
      @media (prefers-reduced-motion: no-preference) {
        .toast {
          animation: arrive 0.16s ease-out;
        }
        @keyframes arrive {
          from {
            opacity: 0;
            transform: translateY(8px);
          }
        }
      }
    `,
  ];

  /** @type {Shown[]} */
  toasts = [];
  #next = 1;
  /** The end of each toast, by its id. @type {Map<number, number>} */
  #timers = new Map();
  /** @type {() => void} */
  #unwatch = () => {};

  connectedCallback() {
    super.connectedCallback();
    store.events.addEventListener("toast", this.#show);
    this.#unwatch = store.watch("user", () => this.#forget());
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    store.events.removeEventListener("toast", this.#show);
    this.#unwatch();
  }

  render() {
    // Errors interrupt a screen reader, the rest waits until it pauses.
    const errors = this.toasts.filter(({ kind }) => kind === "error");
    const others = this.toasts.filter(({ kind }) => kind !== "error");
    return html`
      <div class="list" @pointerenter=${() => this.#hold()} @pointerleave=${() => this.#resume()}>
        <div class="list" role="alert">${errors.map((toast) => this.#toast(toast))}</div>
        <div class="list" role="status">${others.map((toast) => this.#toast(toast))}</div>
      </div>
    `;
  }

  /** @param {Shown} toast */
  #toast({ id, kind, text, action }) {
    return html`<div
      class=${`toast ${kind === "error" ? "fault" : kind}`}
      @focusin=${() => this.#hold()}
      @focusout=${() => this.#resume()}
    >
      <span class="sign" aria-hidden="true">${SIGNS[kind]}</span>
      <span class="text">${text}</span>
      ${
        action
          ? html`<button
              @click=${() => {
                this.#close(id);
                action.run();
              }}
            >
              ${action.label}
            </button>`
          : html`<span></span>`
      }
      <button class="plain close" aria-label="Dismiss" @click=${() => this.#close(id)}>
        ${icon("close", 14)}
      </button>
    </div>`;
  }

  #show = (/** @type {Event} */ event) => {
    const toast = /** @type {CustomEvent<Toast>} */ (event).detail;
    const shown = { ...toast, id: this.#next };
    this.#next += 1;
    // The same words twice say nothing new.
    const others = this.toasts.filter(({ text }) => text !== toast.text);
    this.change({ toasts: [...others, shown].slice(-MOST) });
    this.#time(shown);
  };

  /** @param {Shown} toast */
  #time({ id, kind, action }) {
    const delay = action || kind === "error" ? LONG : SHORT;
    this.#timers.set(
      id,
      setTimeout(() => this.#close(id), delay),
    );
  }

  /** Keep the toasts while the pointer or the focus is on one. */
  #hold() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #resume() {
    this.#hold();
    for (const toast of this.toasts) this.#time(toast);
  }

  /** The next user sees nothing of the last one. */
  #forget() {
    this.#hold();
    this.change({ toasts: [] });
  }

  /** @param {number} id */
  #close(id) {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.change({ toasts: this.toasts.filter((toast) => toast.id !== id) });
  }
}

customElements.define("toast-list", ToastList);
