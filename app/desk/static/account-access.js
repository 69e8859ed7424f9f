/**
 * Who can act for the user: sessions and API keys.
 * @module
 */
import { signOut } from "./account.js";
import { ACTION, sectionStyles, table } from "./account-table.js";
import * as api from "./api.js";
import { DeskElement, html, nothing, shared } from "./element.js";
import { checkbox, field, FormState, formStyles } from "./form.js";
import { date, moment } from "./format.js";
import "./shown-once.js";

const KEYS = "/auth/api-keys";
const SESSIONS = "/auth/sessions";

export class AccountAccess extends DeskElement {
  static styles = [shared, formStyles, sectionStyles];

  /** @type {Session[]} */
  sessions = [];
  /** @type {ApiKey[]} */
  keys = [];
  /** The key that was created just now. */
  secret = "";
  list = new FormState(this);
  creation = new FormState(this);

  connectedCallback() {
    super.connectedCallback();
    void this.list.run(() => this.#read());
  }

  render() {
    const rows = this.sessions.map((each) => this.#session(each));
    return html`
      ${this.list.error()}
      <section aria-labelledby="sessions">
        <h2 id="sessions">Sessions</h2>
        ${table("Sessions", ["Device", "Network", "Last used, IST", ACTION], rows)}
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
      <td data-label="Network">${each.address}</td>
      <td data-label="Last used, IST">${moment(each.last_used_at)}</td>
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
    const columns = ["Name", "Ends in", "May", "Created", "Last used, IST", ACTION];
    const rows = this.keys.map((each) => this.#key(each));
    return html`<section aria-labelledby="keys">
      <h2 id="keys">API keys</h2>
      ${
        rows.length
          ? table("API keys", columns, rows)
          : html`<p class="muted">A key lets a bot trade.</p>`
      }
      ${
        this.secret
          ? html`<shown-once what="the key" .secret=${this.secret}></shown-once>`
          : nothing
      }
      <form novalidate @submit=${(/** @type {SubmitEvent} */ event) => void this.#create(event)}>
        ${field(this.creation, "name", "Name of another key")} ${checkbox("trade", "may trade")}
        <button ?disabled=${this.creation.isBusy}>Create key</button>
        ${this.creation.error()}
      </form>
    </section>`;
  }

  /** @param {ApiKey} each */
  #key(each) {
    return html`<tr>
      <td>${each.name}</td>
      <td data-label="Ends in">${each.last4}</td>
      <td data-label="May">${each.scopes.join(", ")}</td>
      <td data-label="Created">${date(each.created_at)}</td>
      <td data-label="Last used, IST">${moment(each.last_used_at)}</td>
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
