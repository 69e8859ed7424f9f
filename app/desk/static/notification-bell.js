/**
 * The bell: how many notifications are unread; opened, the notifications, alerts and preferences.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { icon } from "./icons.js";
import "./alert-list.js";
import "./notification-list.js";
import "./notification-preferences.js";
import { readNotifications } from "./notifications.js";
import { store } from "./store.js";

/** @typedef {"list" | "alerts" | "preferences"} Page */
/** @type {{page: Page, label: string}[]} */
const PAGES = [
  { page: "list", label: "Notifications" },
  { page: "alerts", label: "Alerts" },
  { page: "preferences", label: "Preferences" },
];
const MOST_SHOWN = 99;

export class NotificationBell extends DeskElement {
  static watches = ["unread"];
  static styles = [
    shared,
    css`
      .bell {
        position: relative;
        min-width: 32px;
        padding: 0 6px;
        line-height: 0;
      }
      .count {
        position: absolute;
        top: 0;
        right: 0;
        min-width: 15px;
        padding: 0 4px;
        border-radius: 8px;
        background: var(--down);
        color: var(--on-fill);
        font-size: 10px;
        font-weight: 600;
        line-height: 15px;
      }
      .panel {
        position: fixed;
        inset: 46px 12px auto auto;
        width: min(420px, calc(100vw - 24px));
        height: min(620px, calc(100dvh - 64px));
        margin: 0;
        padding: 0;
        border: 1px solid var(--line);
        border-radius: 6px;
        background: var(--panel);
        box-shadow: var(--shadow);
        color: var(--text);
        overflow: hidden;
      }
      .panel:popover-open {
        display: flex;
        flex-direction: column;
      }
      .pages {
        display: flex;
        gap: 2px;
        padding: 0 8px;
        border-bottom: 1px solid var(--line);
      }
      .pages button {
        min-height: 36px;
        border: 0;
        border-bottom: 2px solid transparent;
        border-radius: 0;
        background: none;
        color: var(--muted);
        font-weight: 550;
      }
      .pages [aria-selected="true"] {
        border-bottom-color: var(--accent);
        color: var(--text);
      }
      .page {
        flex: 1;
        min-height: 0;
        overflow: auto;
        scrollbar-width: thin;
      }
    `,
  ];

  /** @type {Page} */
  page = "list";
  isOpen = false;

  connectedCallback() {
    super.connectedCallback();
    void readNotifications({ limit: 1 }).catch(() => {});
  }

  render() {
    const unread = store.get("unread");
    const label = unread ? `Notifications, ${unread} unread` : "Notifications";
    return html`
      <button class="plain bell" aria-label=${label} title=${label} popovertarget="panel">
        ${icon("bell")}
        ${
          unread
            ? html`<span class="count" aria-hidden="true"
                >${unread > MOST_SHOWN ? `${MOST_SHOWN}+` : unread}</span
              >`
            : nothing
        }
      </button>
      <div
        id="panel"
        class="panel"
        popover
        role="dialog"
        aria-label="Notifications and alerts"
        @toggle=${(/** @type {ToggleEvent} */ event) =>
          this.change({ isOpen: event.newState === "open" })}
      >
        ${this.isOpen ? this.#panel() : nothing}
      </div>
    `;
  }

  #panel() {
    return html`
      <div class="pages" role="tablist" aria-label="Notifications" @keydown=${this.#step}>
        ${PAGES.map(({ page, label }) => this.#tab(page, label))}
      </div>
      <div id="page" class="page" role="tabpanel" aria-labelledby=${`tab-${this.page}`}>
        ${this.page === "list" ? html`<notification-list></notification-list>` : nothing}
        ${this.page === "alerts" ? html`<alert-list></alert-list>` : nothing}
        ${
          this.page === "preferences"
            ? html`<notification-preferences></notification-preferences>`
            : nothing
        }
      </div>
    `;
  }

  /**
   * @param {Page} page
   * @param {string} label
   */
  #tab(page, label) {
    const isShown = page === this.page;
    return html`<button
      id=${`tab-${page}`}
      role="tab"
      aria-controls="page"
      aria-selected=${isShown ? "true" : "false"}
      tabindex=${isShown ? 0 : -1}
      @click=${() => this.change({ page })}
    >
      ${label}
    </button>`;
  }

  /** @param {KeyboardEvent} event */
  #step(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const place = PAGES.findIndex(({ page }) => page === this.page);
    const { page } = PAGES[(place + step + PAGES.length) % PAGES.length];
    this.change({ page });
    /** @type {HTMLElement | null} */ (this.renderRoot.querySelector(`#tab-${page}`))?.focus();
  }
}

customElements.define("notification-bell", NotificationBell);
