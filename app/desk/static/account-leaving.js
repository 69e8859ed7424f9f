/**
 * The export of everything about the user, and the deletion of the account.
 * @module
 */
import { deleteAccount } from "./account.js";
import { sectionStyles } from "./account-table.js";
import * as api from "./api.js";
import { DeskElement, html, nothing, shared } from "./element.js";
import { field, FormState, formStyles } from "./form.js";
import { dialogStyles } from "./dialog-styles.js";
import { store } from "./store.js";

export class AccountLeaving extends DeskElement {
  static styles = [shared, formStyles, sectionStyles, dialogStyles];

  /** Whether a deletion needs a code as well. */
  hasFactor = false;
  exporting = new FormState(this);
  deletion = new FormState(this);

  connectedCallback() {
    super.connectedCallback();
    void this.exporting.run(async () => {
      this.hasFactor = (await api.get("/auth/me")).totp_enabled;
    });
  }

  render() {
    return html`<section aria-labelledby="export">
        <h2 id="export">Export</h2>
        <p class="muted">
          Everything about you in one JSON file: portfolios, trades, alerts, watchlists,
          notifications, sessions, keys.
        </p>
        <button ?disabled=${this.exporting.isBusy} @click=${() => void this.#export()}>
          ${this.exporting.isBusy ? "One moment …" : "Download everything"}
        </button>
        ${this.exporting.error()}
      </section>
      <section aria-labelledby="deletion">
        <h2 id="deletion">Deletion</h2>
        <p class="muted">
          Deletes the account and all that the export lists. Open trades are deleted, not closed.
        </p>
        <button @click=${() => this.#dialog()?.showModal()}>Delete the account …</button>
        ${this.#question()}
      </section>`;
  }

  #question() {
    const { deletion } = this;
    return html`<dialog aria-labelledby="question">
      <form
        novalidate
        @submit=${(/** @type {SubmitEvent} */ event) =>
          void deletion.submit(event, ({ password, totp }) =>
            deleteAccount({ password, ...(totp ? { totp } : {}) }),
          )}
      >
        <h2 id="question">Delete ${store.get("user")?.clientId}?</h2>
        <p>Nothing can be restored.</p>
        ${field(deletion, "password", "Your password", {
          ...{ type: "password", autocomplete: "current-password" },
        })}
        ${
          this.hasFactor
            ? field(deletion, "totp", "Code of the app, or a recovery code", {
                autocomplete: "one-time-code",
              })
            : nothing
        }
        ${deletion.error()}
        <button class="danger" ?disabled=${deletion.isBusy}>Delete everything</button>
        <button type="button" @click=${() => this.#dialog()?.close()}>Keep the account</button>
      </form>
    </dialog>`;
  }

  #export() {
    return this.exporting.run(() => api.download("/auth/me/export", "paper-trading.json"));
  }

  #dialog() {
    return this.renderRoot.querySelector("dialog");
  }
}

customElements.define("account-leaving", AccountLeaving);
