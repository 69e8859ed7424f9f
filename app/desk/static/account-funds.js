/**
 * The portfolios: which one is shown, opening another, moving funds, starting over.
 * @module
 */
import { choosePortfolio, refresh } from "./account.js";
import { moveFunds, openPortfolio, readPortfolios, resetPortfolio } from "./account-data.js";
import "./account-fills.js";
import { ACTION, number, sectionStyles, table } from "./account-table.js";
import { dialogStyles } from "./dialog-styles.js";
import { DeskElement, html, shared } from "./element.js";
import { field, FormState, formStyles } from "./form.js";
import { date, rupees, signed, trend } from "./format.js";
import { FILL_PROFILES, inWords } from "./reasons.js";
import { store } from "./store.js";

const COLUMNS = [
  "Name",
  number("Available"),
  number("In use"),
  number("Realized P&L"),
  "Fills",
  "Season since",
  ACTION,
];

export class AccountFunds extends DeskElement {
  static watches = ["portfolio", "portfolioName"];
  static styles = [shared, formStyles, sectionStyles, dialogStyles];

  /** @type {Portfolio[]} */
  portfolios = [];
  list = new FormState(this);
  opening = new FormState(this);
  funds = new FormState(this);
  reset = new FormState(this);
  #read = "";

  render() {
    return html`
      <section aria-labelledby="portfolios">
        <h2 id="portfolios">Portfolios</h2>
        ${this.list.error()}
        ${table(
          "Portfolios",
          COLUMNS,
          this.portfolios.map((each) => this.#row(each)),
        )}
        <form novalidate @submit=${(/** @type {SubmitEvent} */ event) => void this.#open(event)}>
          ${field(this.opening, "name", "Name of another portfolio")}
          ${field(this.opening, "initial_margin", "Begins with ₹", { type: "number" })}
          <button ?disabled=${this.opening.isBusy}>Open portfolio</button>
          ${this.opening.error()}
        </form>
      </section>
      ${this.#funds()} <account-fills></account-fills> ${this.#reset()}
    `;
  }

  /** @param {Portfolio} each */
  #row(each) {
    const isShown = each.name === store.get("portfolioName");
    return html`<tr>
      <td>${each.name}</td>
      <td class="number" data-label="Available">${rupees(each.available_margin)}</td>
      <td class="number" data-label="In use">${rupees(each.utilized_margin)}</td>
      <td class=${`number ${trend(each.total_pnl)}`} data-label="Realized P&L">
        ${signed(each.total_pnl)}
      </td>
      <td data-label="Fills">${inWords(FILL_PROFILES, each.fill_profile)}</td>
      <td data-label="Season since">${date(each.season_started_at)}</td>
      <td class="actions">
        ${
          isShown
            ? html`<span class="tag">Shown</span>`
            : html`<button
                aria-label=${`Show ${each.name}`}
                @click=${() => void this.list.run(() => choosePortfolio(each.name))}
              >
                Show
              </button>`
        }
      </td>
    </tr>`;
  }

  #funds() {
    return html`<section aria-labelledby="funds">
      <h2 id="funds">Funds of ${store.get("portfolioName")}</h2>
      <form novalidate @submit=${(/** @type {SubmitEvent} */ event) => void this.#move(event)}>
        ${field(this.funds, "amount", "Amount in ₹", { type: "number" })}
        <button value="deposit" class="primary" ?disabled=${this.funds.isBusy}>Deposit</button>
        <button value="withdraw" ?disabled=${this.funds.isBusy}>Withdraw</button>
        ${this.funds.error()}
      </form>
    </section>`;
  }

  #reset() {
    const name = store.get("portfolioName");
    return html`<section aria-labelledby="reset">
      <h2 id="reset">Start over</h2>
      <p class="muted">
        Exits every trade of ${name} at the last price, cancels its orders and begins the next
        season. The history stays.
      </p>
      <button @click=${() => this.#dialog()?.showModal()}>Reset ${name} …</button>
      <dialog aria-labelledby="question">
        <form novalidate @submit=${(/** @type {SubmitEvent} */ event) => void this.#confirm(event)}>
          <h2 id="question">Reset ${name}?</h2>
          <p>All its trades are closed now. This cannot be undone.</p>
          ${field(
            this.reset,
            "initial_margin",
            "The next season begins with ₹ (empty: as before)",
            {
              type: "number",
            },
          )}
          ${this.reset.error()}
          <button class="danger" ?disabled=${this.reset.isBusy}>Close all trades and reset</button>
          <button type="button" @click=${() => this.#dialog()?.close()}>Keep the portfolio</button>
        </form>
      </dialog>
    </section>`;
  }

  updated() {
    const portfolio = store.get("portfolio");
    const wanted = `${portfolio?.name} ${portfolio?.last_updated}`;
    if (wanted === this.#read) return;
    this.#read = wanted;
    void this.list.run(async () => (this.portfolios = await readPortfolios()));
  }

  /** @param {SubmitEvent} event */
  #open(event) {
    return this.opening.submit(event, async ({ name, initial_margin: margin }) => {
      const { name: opened } = await openPortfolio(name, Number(margin) || undefined);
      await choosePortfolio(opened);
    });
  }

  /** @param {SubmitEvent} event */
  #move(event) {
    const button = /** @type {HTMLButtonElement} */ (event.submitter);
    const kind = button.value === "withdraw" ? "withdraw" : "deposit";
    return this.funds.submit(event, async ({ amount }) => {
      const { message } = await moveFunds(kind, amount === "" ? null : Number(amount));
      store.emit("toast", { kind: "success", text: message });
      await refresh();
    });
  }

  /** @param {SubmitEvent} event */
  async #confirm(event) {
    const isDone = await this.reset.submit(event, async ({ initial_margin: margin }) => {
      const { message } = await resetPortfolio(Number(margin) || undefined);
      store.emit("toast", { kind: "success", text: message });
      await refresh();
    });
    if (isDone) this.#dialog()?.close();
  }

  #dialog() {
    return this.renderRoot.querySelector("dialog");
  }
}

customElements.define("account-funds", AccountFunds);
