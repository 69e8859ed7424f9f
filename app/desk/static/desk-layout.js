/**
 * Where the panels of the desk are, by the width of the screen.
 * @module
 */
import { css } from "./element.js";

/** The panels beside each other, and the ticket above them on a tablet. */
export const layout = css`
  :host {
    display: grid;
    grid-template: auto auto minmax(0, 1fr) auto / minmax(0, 1fr);
    grid-template-areas: "top" "banner" "main" "nav";
    height: 100dvh;
    background: var(--line);
  }
  :host([data-signed="no"]) {
    display: block;
  }
  top-bar {
    grid-area: top;
  }
  .banners {
    grid-area: banner;
  }
  main {
    display: grid;
    grid-area: main;
    grid-template: "watch centre ticket" minmax(0, 1fr) / 292px minmax(0, 1fr) 312px;
    gap: 0 1px;
    min-height: 0;
  }
  watch-list {
    grid-area: watch;
    min-height: 0;
  }
  order-ticket {
    grid-area: ticket;
    min-height: 0;
    overflow-y: auto;
    background: var(--panel);
  }
  .centre {
    display: grid;
    grid-area: centre;
    grid-template-rows: auto minmax(160px, 1fr) minmax(190px, 38%);
    min-width: 0;
    min-height: 0;
  }
  .centre[data-tab="account"] {
    grid-template-rows: 0 0 minmax(0, 1fr);
  }
  .centre[data-tab="account"] > :is(symbol-header, price-chart) {
    display: none;
  }
  price-chart {
    min-height: 0;
    background: var(--panel);
  }
  section {
    display: flex;
    grid-row: 3;
    flex-direction: column;
    min-width: 0;
    min-height: 0;
    border-top: 1px solid var(--line);
    background: var(--panel);
  }
  [role="tabpanel"] {
    flex: 1;
    min-height: 0;
    overflow: auto;
  }
  [role="tablist"] {
    display: flex;
    gap: 2px;
    padding: 0 8px;
    overflow-x: auto;
    scrollbar-width: none;
    border-bottom: 1px solid var(--line);
  }
  [role="tab"] {
    min-height: 34px;
    border: 0;
    border-bottom: 2px solid transparent;
    border-radius: 0;
    background: none;
    color: var(--muted);
    font-weight: 550;
  }
  [role="tab"][aria-selected="true"] {
    border-bottom-color: var(--accent);
    color: var(--text);
  }
  nav {
    display: none;
  }
  @media (max-width: 1080px) {
    main {
      grid-template: "watch centre" minmax(0, 1fr) / 240px minmax(0, 1fr);
    }
    order-ticket {
      position: fixed;
      z-index: 20;
      inset-block: 0;
      inset-inline-end: 0;
      width: min(340px, 100vw);
      box-shadow: var(--shadow);
    }
    :host([data-ticket="closed"]) order-ticket {
      display: none;
    }
  }
`;

/** One view at a time, with the navigation at the bottom. */
export const phone = css`
  @media (max-width: 760px) {
    main {
      grid-template: "view" minmax(0, 1fr) / minmax(0, 1fr);
    }
    watch-list,
    .centre,
    order-ticket {
      grid-area: view;
    }
    order-ticket {
      position: static;
      width: auto;
      box-shadow: none;
    }
    :host(:not([data-view="watch"])) watch-list,
    :host(:not([data-view="ticket"])) order-ticket,
    :host(:not([data-view="chart"], [data-view="trades"], [data-view="account"])) .centre {
      display: none;
    }
    :host([data-view="ticket"]) order-ticket {
      display: block;
    }
    /* Above the view, so that it covers neither the guide nor the navigation. */
    :host([data-signed="yes"]) toast-list {
      position: relative;
      grid-area: main;
      align-self: start;
      inset: 8px 12px auto;
      width: calc(100% - 24px);
    }
    :host([data-view="chart"]) .centre {
      grid-template-rows: auto minmax(0, 1fr);
    }
    :host([data-view="chart"]) section,
    :host(:not([data-view="chart"])) .centre > :is(symbol-header, price-chart) {
      display: none;
    }
    :host(:not([data-view="chart"])) .centre {
      grid-template-rows: 0 0 minmax(0, 1fr);
    }
    nav {
      display: grid;
      grid-area: nav;
      grid-auto-columns: 1fr;
      grid-auto-flow: column;
      padding-bottom: env(safe-area-inset-bottom);
      border-top: 1px solid var(--line);
      background: var(--panel);
    }
    nav button {
      min-height: 52px;
      padding: 4px 0;
      border: 0;
      background: none;
      color: var(--muted);
      font-size: var(--size-s);
      line-height: 1.3;
    }
    nav button[aria-current="page"] {
      color: var(--accent);
      font-weight: 600;
    }
    nav span {
      display: block;
    }
  }
`;
