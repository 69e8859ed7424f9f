/**
 * The frame of the desk: which panels there are and where, on a wide screen and on a phone.
 * @module
 */
import { layout, phone } from "./desk-layout.js";
import { DeskElement, html, nothing, shared } from "./element.js";
import { icon } from "./icons.js";
import { openTrades, pendingOrders } from "./profit.js";
import { pressed } from "./shortcut-help.js";
import { keptUser } from "./session.js";
import { store } from "./store.js";
import { showTab, showView } from "./views.js";
import "./connection-banner.js";
import "./first-trade.js";
import "./shortcut-help.js";
import "./sign-in.js";
import "./symbol-header.js";
import "./toast-list.js";
import "./top-bar.js";
import "./watch-list.js";

/** How often ages and stale prices are looked at again, in milliseconds. */
const CLOCK = 5_000;
/** How long the other panels wait for a price, in milliseconds: a closed market may have none. */
const PATIENCE = 1_500;
/** @type {{tab: Tab, label: string}[]} */
const TABS = [
  { tab: "trades", label: "Trades" },
  { tab: "orders", label: "Orders" },
  { tab: "history", label: "History" },
  { tab: "movers", label: "Movers" },
  { tab: "account", label: "Account" },
];
/** @type {{view: View, label: string, sign: import("./icons.js").Icon}[]} */
const VIEWS = [
  { view: "watch", label: "Watchlist", sign: "list" },
  { view: "chart", label: "Chart", sign: "chart" },
  { view: "ticket", label: "Order", sign: "order" },
  { view: "trades", label: "Trades", sign: "trades" },
  { view: "account", label: "Account", sign: "account" },
];

export class DeskApp extends DeskElement {
  static watches = ["user", "tab", "view", "ticket", "trades"];
  static styles = [shared, layout, phone];
  #clock = 0;

  connectedCallback() {
    super.connectedCallback();
    addEventListener("keydown", pressed);
    void loadPanels();
    this.#clock = setInterval(() => store.touch("clock"), CLOCK);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("keydown", pressed);
    clearInterval(this.#clock);
  }

  render() {
    this.dataset.signed = store.get("user") ? "yes" : "no";
    this.dataset.view = store.get("view");
    this.dataset.ticket = store.get("ticket").isOpen ? "open" : "closed";
    return html`${store.get("user") ? this.#desk() : html`<sign-in></sign-in>`}<toast-list
      ></toast-list>`;
  }

  #desk() {
    return html`
      <top-bar role="banner"></top-bar>
      <div class="banners">
        <connection-banner></connection-banner>
        <first-trade></first-trade>
      </div>
      <main>
        <h1 class="hidden-text">Paper Trading Desk</h1>
        <watch-list role="region" aria-label="Watchlist"></watch-list>
        <div class="centre" data-tab=${store.get("tab")}>
          <symbol-header></symbol-header>
          <price-chart></price-chart>
          ${this.#panel()}
        </div>
        <order-ticket role="region" aria-label="Order ticket"></order-ticket>
      </main>
      ${this.#navigation()}
      <shortcut-help></shortcut-help>
    `;
  }

  #panel() {
    const shown = store.get("tab");
    return html`<section aria-label="Trades and account">
      <div role="tablist" aria-label="Trades and account" @keydown=${stepTab}>
        ${TABS.map(({ tab, label }) => this.#tab(tab, label))}
      </div>
      <div id="panel" role="tabpanel" tabindex="0" aria-labelledby=${`tab-${shown}`}>
        ${shown === "trades" ? html`<open-trades></open-trades>` : nothing}
        ${shown === "orders" ? html`<order-list></order-list>` : nothing}
        ${shown === "history" ? html`<trade-history></trade-history>` : nothing}
        ${shown === "movers" ? html`<movers-list></movers-list>` : nothing}
        ${shown === "account" ? account() : nothing}
      </div>
    </section>`;
  }

  /**
   * @param {Tab} tab
   * @param {string} label
   */
  #tab(tab, label) {
    const counts = { trades: openTrades().length, orders: pendingOrders().length };
    const count = counts[/** @type {keyof typeof counts} */ (tab)];
    const isShown = store.get("tab") === tab;
    return html`<button
      id=${`tab-${tab}`}
      role="tab"
      aria-selected=${isShown ? "true" : "false"}
      aria-controls="panel"
      tabindex=${isShown ? 0 : -1}
      @click=${() => showTab(tab)}
    >
      ${label}${count ? ` (${count})` : ""}
    </button>`;
  }

  #navigation() {
    const shown = store.get("view");
    return html`<nav aria-label="Views">
      ${VIEWS.map(
        ({ view, label, sign }) =>
          html`<button
            aria-current=${view === shown ? "page" : "false"}
            @click=${() => showView(view)}
          >
            ${icon(sign)}<span>${label}</span>
          </button>`,
      )}
    </nav>`;
  }
}

/** Load the panels that wait for the first price, which is shown sooner without them. */
async function loadPanels() {
  if (keptUser()) await firstPrice();
  await load(() => import("./desk-panels.js"));
}

function firstPrice() {
  return new Promise((resolve) => {
    const stop = store.watch("quotes", () => {
      stop();
      resolve(null);
    });
    setTimeout(resolve, PATIENCE, null);
  });
}

/** The account, whose modules are loaded when it is first shown. */
function account() {
  void load(() => import("./account-view.js"));
  return html`<account-view></account-view>`;
}

/** @param {() => Promise<unknown>} modules */
async function load(modules) {
  try {
    await modules();
  } catch {
    const text = "A part of the desk could not be loaded. Reload the page.";
    store.emit("toast", { kind: "error", text });
  }
}

/**
 * Choose the tab beside, as screen reader users expect of the arrow keys.
 * @param {KeyboardEvent} event
 */
function stepTab(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const place = TABS.findIndex(({ tab }) => tab === store.get("tab"));
  const { tab } = TABS[(place + step + TABS.length) % TABS.length];
  showTab(tab);
  const list = /** @type {HTMLElement} */ (event.currentTarget);
  /** @type {HTMLElement | null} */ (list.querySelector(`#tab-${tab}`))?.focus();
}

customElements.define("desk-app", DeskApp);
