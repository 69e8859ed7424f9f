/**
 * What the order of the ticket would cost and earn, as the server computes it.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { date, price, rupees } from "./format.js";
import { FILL_PROFILES, inWords } from "./reasons.js";

export class TicketSummary extends DeskElement {
  static properties = { preview: { attribute: false } };
  static styles = [
    shared,
    css`
      dl {
        display: grid;
        grid-template-columns: 1fr auto;
        gap: 3px 8px;
        margin: 0;
      }
      dt {
        color: var(--muted);
      }
      dd {
        margin: 0;
        text-align: end;
      }
      dd.strong {
        font-weight: 600;
      }
      .ratio {
        display: flex;
        gap: 2px;
        height: 5px;
        margin: 8px 0 2px;
      }
      .ratio i {
        border-radius: 2px;
      }
      .risk {
        background: var(--down);
      }
      .reward {
        background: var(--up);
      }
      ul {
        display: grid;
        gap: 3px;
        margin: 8px 0 0;
        padding: 6px 8px;
        border-radius: var(--radius);
        background: var(--warn-soft);
        color: var(--warn);
        font-size: var(--size-s);
        list-style: none;
      }
    `,
  ];

  constructor() {
    super();
    /** @type {Preview | null} */
    this.preview = null;
  }

  render() {
    const preview = this.preview;
    const isPlain = !preview || preview.fill_profile === "plain";
    const { loss_at_stop: loss, reward_at_target: reward } = preview ?? {};
    return html`
      <dl>
        ${row("Entry", price(preview?.entry_price))}
        ${row("Margin", rupees(preview?.margin_required), true)}
        ${row("Charges", rupees(preview?.total_charges))}
        ${row("Available after", rupees(preview?.available_margin_after))}
        ${row("Risk at stop", loss == null ? "no stop" : rupees(-loss))}
        ${row("Reward at target", reward == null ? "no target" : rupees(reward))}
        ${row("Reward : risk", preview?.reward_risk_ratio?.toFixed(2) ?? "–")}
        ${isPlain ? nothing : row("Filled", inWords(FILL_PROFILES, preview.fill_profile))}
        ${preview?.queued_for ? row("Waits for", date(preview.queued_for)) : nothing}
      </dl>
      ${this.#ratio(loss, reward)}
      ${
        preview?.warnings.length
          ? html`<ul>
              ${preview.warnings.map(({ message }) => html`<li>${message}</li>`)}
            </ul>`
          : nothing
      }
    `;
  }

  /**
   * @param {number | null | undefined} loss
   * @param {number | null | undefined} reward
   */
  #ratio(loss, reward) {
    return html`<div class="ratio" aria-hidden="true" ?hidden=${!loss || !reward}>
      <i class="risk" .style=${`flex: ${loss ?? 0}`}></i>
      <i class="reward" .style=${`flex: ${reward ?? 0}`}></i>
    </div>`;
  }
}

/**
 * @param {string} name
 * @param {string} value
 * @param {boolean} [isStrong]
 */
function row(name, value, isStrong = false) {
  return html`<dt>${name}</dt>
    <dd class=${isStrong ? "strong" : ""}>${value}</dd>`;
}

customElements.define("ticket-summary", TicketSummary);
