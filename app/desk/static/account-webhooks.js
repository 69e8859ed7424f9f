/**
 * Webhooks: where events are posted to, how that goes, and a test.
 * @module
 */
import "./account-deliveries.js";
import { ACTION, sectionStyles, table } from "./account-table.js";
import * as api from "./api.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { checkbox, field, FormState, formStyles } from "./form.js";
import { moment } from "./format.js";
import { EVENTS, inWords } from "./reasons.js";
import "./shown-once.js";

const WEBHOOKS = "/notifications/webhooks";

export class AccountWebhooks extends DeskElement {
  static styles = [
    shared,
    formStyles,
    sectionStyles,
    css`
      .address {
        max-width: 260px;
        padding-block: 4px;
        line-height: 1.3;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .state {
        white-space: normal;
      }
      .cards .state {
        grid-column: span 2;
      }
      details {
        flex-basis: 100%;
      }
      .types {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(170px, 1fr));
      }
      .wide {
        flex: 1 1 280px;
      }
    `,
  ];

  /** @type {Webhook[]} */
  webhooks = [];
  /** The webhook whose deliveries are shown. */
  shownId = "";
  /** The number of tests so far: after each the deliveries are read again. */
  tests = 0;
  secret = "";
  list = new FormState(this);
  creation = new FormState(this);

  connectedCallback() {
    super.connectedCallback();
    void this.list.run(() => this.#read());
  }

  render() {
    const columns = ["Address", "Events", "State", ACTION];
    const rows = this.webhooks.map((each) => this.#row(each));
    return html`<section aria-labelledby="webhooks">
        <h2 id="webhooks">Webhooks</h2>
        <p class="muted">
          Each event is posted to a program of yours, signed, until it accepts it.
        </p>
        ${this.list.error()} ${rows.length ? table("Webhooks", columns, rows) : nothing}
        ${
          this.secret
            ? html`<shown-once
                what="the secret that signs its messages"
                .secret=${this.secret}
              ></shown-once>`
            : nothing
        }
        ${this.#creation()}
      </section>
      ${
        this.shownId
          ? html`<account-deliveries
              .webhookId=${this.shownId}
              .tests=${this.tests}
            ></account-deliveries>`
          : nothing
      }`;
  }

  /** @param {Webhook} each */
  #row(each) {
    const path = `${WEBHOOKS}/${each.webhook_id}`;
    const isShown = each.webhook_id === this.shownId;
    return html`<tr>
      <td class="address" title=${each.url}>
        ${each.url}
        ${each.description ? html`<br /><span class="muted small">${each.description}</span>` : nothing}
      </td>
      <td
        data-label="Events"
        title=${each.events?.map((type) => inWords(EVENTS, type)).join(", ") ?? ""}
      >
        ${each.events ? `${each.events.length} kinds` : "all"}
      </td>
      <td class="state" data-label="State">${state(each)}</td>
      <td class="actions">
        <button aria-label=${`Test ${each.url}`} @click=${() => this.#test(each)}>Test</button>
        <button
          aria-label=${`Deliveries of ${each.url}`}
          aria-expanded=${isShown ? "true" : "false"}
          @click=${() => this.change({ shownId: isShown ? "" : each.webhook_id })}
        >
          Deliveries
        </button>
        <button
          aria-label=${`${each.enabled ? "Pause" : "Resume"} ${each.url}`}
          @click=${() => this.#change(() => api.patch(path, { enabled: !each.enabled }))}
        >
          ${each.enabled ? "Pause" : "Resume"}
        </button>
        <button aria-label=${`Delete ${each.url}`} @click=${() => this.#delete(each)}>
          Delete
        </button>
      </td>
    </tr>`;
  }

  #creation() {
    const { creation } = this;
    return html`<form
      novalidate
      @submit=${(/** @type {SubmitEvent} */ event) => void this.#create(event)}
    >
      <div class="wide">
        ${field(creation, "url", "Address of another, https://…", { type: "url" })}
      </div>
      <div class="wide">${field(creation, "description", "What it is for")}</div>
      <button ?disabled=${creation.isBusy}>Create webhook</button>
      <details>
        <summary>Only some events</summary>
        <div class="types">
          ${Object.entries(EVENTS).map(([type, name]) => checkbox(type, name))}
        </div>
      </details>
      ${creation.error()}
    </form>`;
  }

  async #read() {
    this.webhooks = (await api.get(WEBHOOKS)).webhooks;
  }

  /** @param {() => Promise<unknown>} send */
  #change(send) {
    void this.list.run(async () => {
      await send();
      await this.#read();
    });
  }

  /** @param {Webhook} webhook */
  #test({ webhook_id: id }) {
    this.#change(async () => {
      await api.post(`${WEBHOOKS}/${id}/test`);
      Object.assign(this, { shownId: id, tests: this.tests + 1 });
    });
  }

  /** @param {Webhook} webhook */
  #delete({ webhook_id: id }) {
    this.#change(async () => {
      await api.del(`${WEBHOOKS}/${id}`);
      if (this.shownId === id) this.shownId = "";
    });
  }

  /** @param {SubmitEvent} event */
  #create(event) {
    return this.creation.submit(event, async ({ url, description, ...chosen }) => {
      const events = Object.keys(EVENTS).filter((type) => type in chosen);
      const body = { url, description, ...(events.length ? { events } : {}) };
      this.secret = (await api.post(WEBHOOKS, body)).secret;
      await this.#read();
    });
  }
}

/** @param {Webhook} webhook */
function state({ enabled, disabled_reason: reason, failing_since: since, next_attempt_at: next }) {
  if (!enabled) return html`<span class="tag warn">paused</span> ${reason ?? ""}`;
  if (!since) return html`<span class="tag">in step</span>`;
  return html`<span class="tag warn">failing</span> since ${moment(since)}, next ${moment(next)}`;
}

customElements.define("account-webhooks", AccountWebhooks);
