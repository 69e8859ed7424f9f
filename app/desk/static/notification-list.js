/**
 * The notifications, newest first.
 * @module
 */
import { ApiError } from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { moment } from "./format.js";
import { markAllRead, markRead, readNotifications } from "./notifications.js";
import { EVENTS, inWords, NOTICES } from "./reasons.js";
import { store } from "./store.js";

export class NotificationList extends DeskElement {
  static watches = ["unread"];
  static styles = [
    shared,
    css`
      .head {
        position: sticky;
        top: 0;
        display: flex;
        justify-content: space-between;
        align-items: center;
        padding: 6px 12px;
        border-bottom: 1px solid var(--line);
        background: var(--panel);
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: grid;
        grid-template-columns: 10px minmax(0, 1fr) auto;
        gap: 6px;
        padding: 9px 12px;
        border-bottom: 1px solid var(--line);
      }
      .dot {
        width: 7px;
        height: 7px;
        margin-top: 6px;
        border-radius: 50%;
      }
      .unread .dot {
        background: var(--accent);
      }
      .unread .text {
        font-weight: 550;
      }
      .text {
        overflow-wrap: anywhere;
      }
      .more {
        display: block;
        margin: 10px auto;
      }
    `,
  ];

  /** @type {DeskNotification[] | null} */
  list = null;
  /** @type {string | null} */
  cursor = null;
  message = "";
  #isReading = false;

  connectedCallback() {
    super.connectedCallback();
    void this.#read();
    store.events.addEventListener("trade-event", this.#arrived);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    store.events.removeEventListener("trade-event", this.#arrived);
  }

  render() {
    const unread = store.get("unread");
    return html`
      <div class="head">
        <span class="muted">${unread ? `${unread} unread` : "All read"}</span>
        <button ?disabled=${!unread} @click=${() => void this.#markAll()}>Mark all as read</button>
      </div>
      ${this.message ? html`<p class="error empty" role="alert">${this.message}</p>` : nothing}
      <ul aria-label="Notifications">
        ${(this.list ?? []).map((each) => this.#item(each))}
      </ul>
      ${this.list?.length === 0 ? html`<p class="empty">Nothing has happened yet.</p>` : nothing}
      ${
        this.cursor
          ? html`<button class="more" @click=${() => void this.#read(this.cursor)}>
              Show earlier ones
            </button>`
          : nothing
      }
    `;
  }

  /** @param {DeskNotification} each */
  #item(each) {
    return html`<li class=${each.is_read ? "" : "unread"}>
      <span class="dot"></span>
      <div>
        <p class="text">
          ${each.is_read ? nothing : html`<span class="hidden-text">Unread. </span>`}${each.message}
        </p>
        <p class="muted small">
          ${moment(each.created_at)} IST · ${inWords({ ...EVENTS, ...NOTICES }, each.type)}
        </p>
      </div>
      ${
        each.is_read
          ? nothing
          : html`<button
              class="plain small"
              aria-label=${`Mark as read: ${each.message}`}
              title="Mark as read"
              @click=${() => void this.#mark(each)}
            >
              ✓
            </button>`
      }
    </li>`;
  }

  #arrived = () => {
    // After the event is in the API's list.
    setTimeout(() => void this.#read(), 200);
  };

  /** @param {string | null} [cursor] */
  async #read(cursor = null) {
    if (this.#isReading) return;
    this.#isReading = true;
    await this.#try(async () => {
      const page = await readNotifications({ cursor });
      const kept = cursor ? (this.list ?? []) : [];
      this.list = [...kept, ...page.notifications];
      this.cursor = page.next_cursor;
    });
    this.#isReading = false;
  }

  /** @param {DeskNotification} each */
  #mark(each) {
    return this.#try(async () => {
      await markRead(each);
      this.list = (this.list ?? []).map((other) =>
        other === each ? { ...each, is_read: true } : other,
      );
    });
  }

  #markAll() {
    return this.#try(async () => {
      const newest = this.list?.[0];
      if (!newest) return;
      await markAllRead(newest.seq);
      this.list = (this.list ?? []).map((each) => ({ ...each, is_read: true }));
    });
  }

  /** @param {() => Promise<void>} task */
  async #try(task) {
    try {
      await task();
      this.change({ message: "" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.change({ message: error.message });
    }
  }
}

customElements.define("notification-list", NotificationList);
