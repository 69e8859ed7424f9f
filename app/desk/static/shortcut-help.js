/**
 * The keys of the desk, and the list of them that "?" shows.
 * @module
 */
import { dialogStyles } from "./dialog-styles.js";
import { css, DeskElement, html, shared } from "./element.js";
import { store } from "./store.js";
import { openTicket } from "./symbols.js";
import { showTab } from "./views.js";

/** @type {[string, string][]} */
const KEYS = [
  ["/", "Search symbols"],
  ["B, S", "Open the ticket to buy or sell the chosen symbol"],
  ["1 to 5", "Show trades, orders, history, movers, account"],
  ["↑ ↓", "In the watchlist: choose the symbol above or below"],
  ["Alt ↑ ↓", "In the watchlist: move the symbol"],
  ["Delete", "In the watchlist: remove the symbol"],
  ["Enter", "In the ticket: place the order"],
  ["PgUp PgDn ↑ ↓", "On a line of the chart: move it; Enter applies, Esc leaves it"],
  ["Esc", "Close a dialog or the ticket"],
  ["?", "Show this list"],
];
/** @type {Tab[]} */
const TABS = ["trades", "orders", "history", "movers", "account"];
/** Elements that take letters themselves. */
const TYPING = "input, select, textarea, [contenteditable]";

export class ShortcutHelp extends DeskElement {
  static styles = [
    shared,
    dialogStyles,
    css`
      dialog {
        width: min(92vw, 460px);
      }
      h2 {
        margin-bottom: 12px;
        font-size: 15px;
      }
      dl {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 8px 16px;
        margin: 0 0 16px;
      }
      dd {
        margin: 0;
      }
      kbd {
        padding: 1px 6px;
        border: 1px solid var(--line);
        border-radius: 3px;
        background: var(--raised);
        font: inherit;
        white-space: nowrap;
      }
    `,
  ];

  render() {
    return html`<dialog aria-labelledby="title">
      <h2 id="title">Keyboard shortcuts</h2>
      <dl>
        ${KEYS.map(
          ([key, what]) =>
            html`<dt><kbd>${key}</kbd></dt>
              <dd>${what}</dd>`,
        )}
      </dl>
      <form method="dialog"><button autofocus>Close</button></form>
    </dialog>`;
  }

  show() {
    this.renderRoot.querySelector("dialog")?.showModal();
  }
}

customElements.define("shortcut-help", ShortcutHelp);

/** Show the list of keys. */
export function showShortcuts() {
  const app = document.querySelector("desk-app");
  const help = app?.shadowRoot?.querySelector("shortcut-help");
  if (help instanceof ShortcutHelp) help.show();
}

/**
 * Act on a key that was pressed outside of a field.
 * @param {KeyboardEvent} event
 */
export function pressed(event) {
  const target = event.composedPath()[0];
  const isTyping = target instanceof HTMLElement && target.matches(TYPING);
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !store.get("user")) return;
  const tab = TABS[Number(event.key) - 1];
  if (event.key === "?") showShortcuts();
  else if (event.key === "/") focusSearch();
  else if (event.key === "b" || event.key === "s") {
    openTicket(store.get("symbol"), event.key === "b" ? "BUY" : "SELL");
  } else if (tab) showTab(tab);
  else return;
  event.preventDefault();
}

function focusSearch() {
  store.set("view", "watch");
  const list = document.querySelector("desk-app")?.shadowRoot?.querySelector("watch-list");
  const search = list?.shadowRoot?.querySelector("symbol-search");
  if (search instanceof HTMLElement) search.focus();
}
