/**
 * Who can act for the user: sessions and API keys.
 * @module
 */
import { signOut } from "./account.js";
import * as api from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { field, FormState, formStyles } from "./form.js";
import { date, moment } from "./format.js";
import { sectionStyles } from "./section-styles.js";

const KEYS = "/auth/api-keys";
const SESSIONS = "/auth/sessions";

export class AccountAccess extends DeskElement {
  static styles = [
    shared,
    formStyles,
    sectionStyles,
    css`
      .actions {
        text-align: end;
      }
      .secret {
        padding: 10px 12px;
        border: 1px solid var(--line-strong);
        border-radius: var(--radius);
        background: var(--warn-soft);
      }
      code {
        display: block;
        margin: 6px 0;
        overflow-wrap: anywhere;
        user-select: all;
      }
    `,
  ];

  /** @type {Session[]} */
  sessions = [];
  /** @type {ApiKey[]} */
  keys = [];
  /** The key that was created just now; no other response shows it. */
  secret = "";
  list = new FormState(this);
  creation = new FormState(this);

  connectedCallback() {
    super.connectedCallback();
    void this.list.run(() => this.#read());
  }

  render() {
    return html`
      ${this.list.error()}
      <section aria-labelledby="sessions">
        <h2 id="sessions">Sessions</h2>
        <table>
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col">Network</th>
              <th scope="col">Last used, IST</th>
              <th scope="col"><span class="hidden-text">Action</span></th>
            </tr>
          </thead>
          <tbody>
            ${this.sessions.map((each) => this.#session(each))}
          </tbody>
        </table>
        <button @click=${() => void this.list.run(() => this.#endAll())}>
          Sign out everywhere, here too
        </button>
      </section>
      ${this.#keys()}
    `;
  }

  /** @param {Session} each */
  #session(each) {
    return html`<tr>
      <td>${each.device} ${each.is_current ? html`<span class="tag">This one</span>` : nothing}</td>
      <td>${each.address}</td>
      <td>${moment(each.last_used_at)}</td>
      <td class="actions">
        ${
          each.is_current
            ? nothing
            : html`<button
                aria-label=${`End the session of ${each.device}`}
                @click=${() => this.#delete(`${SESSIONS}/${each.id}`)}
              >
                End
              </button>`
        }
      </td>
    </tr>`;
  }

  #keys() {
    return html`<section aria-labelledby="keys">
      <h2 id="keys">API keys</h2>
      ${this.keys.length ? this.#keyTable() : html`<p class="muted">A key lets a bot trade.</p>`}
      ${
        this.secret
          ? html`<div class="secret" role="status">
              Copy the key now, it is not shown again:
              <code>${this.secret}</code>
              <button @click=${() => void navigator.clipboard?.writeText(this.secret)}>Copy</button>
            </div>`
          : nothing
      }
      <form novalidate @submit=${(/** @type {SubmitEvent} */ event) => void this.#create(event)}>
        ${field(this.creation, "name", "Name of another key")}
        <label><input type="checkbox" name="trade" />may trade</label>
        <button ?disabled=${this.creation.isBusy}>Create key</button>
        ${this.creation.error()}
      </form>
    </section>`;
  }

  #keyTable() {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Ends in</th>
          <th scope="col">May</th>
          <th scope="col">Created</th>
          <th scope="col">Last used, IST</th>
          <th scope="col"><span class="hidden-text">Action</span></th>
        </tr>
      </thead>
      <tbody>
        ${this.keys.map((each) => this.#key(each))}
      </tbody>
    </table>`;
  }

  /** @param {ApiKey} each */
  #key(each) {
    return html`<tr>
      <td>${each.name}</td>
      <td>${each.last4}</td>
      <td>${each.scopes.join(", ")}</td>
      <td>${date(each.created_at)}</td>
      <td>${moment(each.last_used_at)}</td>
      <td class="actions">
        <button
          aria-label=${`Delete the key ${each.name}`}
          @click=${() => this.#delete(`${KEYS}/${each.key_id}`)}
        >
          Delete
        </button>
      </td>
    </tr>`;
  }

  async #read() {
    const [{ sessions }, { api_keys: keys }] = await Promise.all([
      api.get(SESSIONS),
      api.get(KEYS),
    ]);
    Object.assign(this, { sessions, keys });
  }

  /** @param {string} path */
  #delete(path) {
    void this.list.run(async () => {
      await api.del(path);
      await this.#read();
    });
  }

  async #endAll() {
    await api.post("/auth/logout-all");
    await signOut();
  }

  /** @param {SubmitEvent} event */
  #create(event) {
    return this.creation.submit(event, async ({ name, trade }) => {
      const scopes = trade ? ["read", "trade"] : ["read"];
      this.secret = (await api.post(KEYS, { name, scopes })).api_key;
      await this.#read();
    });
  }
}

customElements.define("account-access", AccountAccess);
