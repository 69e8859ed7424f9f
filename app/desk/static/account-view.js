/**
 * The account: results, movements of money, portfolios, profile and access.
 * @module
 */
import "./account-access.js";
import "./account-activities.js";
import "./account-factor.js";
import "./account-funds.js";
import "./account-leaving.js";
import "./account-overview.js";
import "./account-profile.js";
import "./account-webhooks.js";
import { css, DeskElement, html, nothing, shared } from "./element.js";

/** @typedef {"overview" | "activities" | "funds" | "profile" | "factor" | "access" | "webhooks" | "leaving"} Section */
/** @type {{section: Section, label: string}[]} */
const SECTIONS = [
  { section: "overview", label: "Overview" },
  { section: "activities", label: "Activities" },
  { section: "funds", label: "Portfolios and funds" },
  { section: "profile", label: "Profile" },
  { section: "factor", label: "Second factor" },
  { section: "access", label: "Sessions and keys" },
  { section: "webhooks", label: "Webhooks" },
  { section: "leaving", label: "Export and deletion" },
];

export class AccountView extends DeskElement {
  static styles = [
    shared,
    css`
      nav {
        position: sticky;
        top: 0;
        z-index: 2;
        display: flex;
        gap: 4px;
        padding: 6px 12px;
        border-bottom: 1px solid var(--line);
        background: var(--panel);
        flex-wrap: wrap;
      }
      @media (max-width: 760px) {
        nav {
          flex-wrap: nowrap;
          overflow-x: auto;
          scrollbar-width: none;
        }
      }
      nav button {
        flex: none;
        color: var(--muted);
      }
      nav [aria-current="true"] {
        background: var(--accent-soft);
        color: var(--accent);
        font-weight: 600;
      }
      .section {
        max-width: 1280px;
        padding: 14px 16px 32px;
      }
    `,
  ];

  /** @type {Section} */
  section = "overview";

  render() {
    const shown = this.section;
    return html`
      <nav aria-label="Account">
        ${SECTIONS.map(
          ({ section, label }) =>
            html`<button
              class="plain"
              aria-current=${section === shown ? "true" : "false"}
              @click=${() => this.change({ section })}
            >
              ${label}
            </button>`,
        )}
      </nav>
      <div class="section">
        ${shown === "overview" ? html`<account-overview></account-overview>` : nothing}
        ${shown === "activities" ? html`<account-activities></account-activities>` : nothing}
        ${shown === "funds" ? html`<account-funds></account-funds>` : nothing}
        ${shown === "profile" ? html`<account-profile></account-profile>` : nothing}
        ${shown === "factor" ? html`<account-factor></account-factor>` : nothing}
        ${shown === "access" ? html`<account-access></account-access>` : nothing}
        ${shown === "webhooks" ? html`<account-webhooks></account-webhooks>` : nothing}
        ${shown === "leaving" ? html`<account-leaving></account-leaving>` : nothing}
      </div>
    `;
  }
}

customElements.define("account-view", AccountView);
