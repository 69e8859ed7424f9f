/**
 * The icons of the desk, drawn with the colour of the text around them.
 * @module
 */
import { svg } from "/desk/vendor/lit-html/lit-html.js";
import { html } from "./element.js";

const PATHS = {
  list: svg`<path d="M4 6h16M4 12h16M4 18h10" />`,
  chart: svg`<path d="M8 4v3m0 9v4M16 3v4m0 7v6M5.5 7h5v9h-5zM13.5 7h5v7h-5z" />`,
  order: svg`<path d="M12 5v14M5 12h14" />`,
  trades: svg`<path d="M7 20V5m0 0L3 9m4-4 4 4M17 4v15m0 0 4-4m-4 4-4-4" />`,
  account: svg`<circle cx="12" cy="8" r="4" /><path d="M4 20c1.5-4 5-5 8-5s6.500 1 8 5" />`,
  bell: svg`<path d="M6 16v-5a6 6 0 0 1 12 0v5l2 2H4zM10 21h4" />`,
  system: svg`<circle cx="12" cy="12" r="8" /><path d="M12 4v16a8 8 0 0 0 0-16z" fill="currentColor" />`,
  light: svg`<circle cx="12" cy="12" r="4" /><path d="M12 3v2m0 14v2M3 12h2m14 0h2M5.600 5.600 7 7m10 10 1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400" />`,
  dark: svg`<path d="M20 14.500A8 8 0 1 1 9.500 4a6.500 6.500 0 0 0 10.500 10.500z" />`,
  help: svg`<path d="M9 9a3 3 0 1 1 4 2.800c-.7.3-1 .8-1 1.700M12 17v.5" /><circle cx="12" cy="12" r="9" />`,
  leave: svg`<path d="M14 4h5v16h-5M10 8l-4 4 4 4m-4-4h9" />`,
  star: svg`<path d="m12 4 2.500 5.200 5.500.800-4 4 1 5.600-5-2.700-5 2.700 1-5.600-4-4 5.500-.800z" />`,
  close: svg`<path d="m6 6 12 12M18 6 6 18" />`,
  edit: svg`<path d="M4 20h4L19 9l-4-4L4 16z" />`,
};

/** @typedef {keyof typeof PATHS} Icon */

/**
 * Draw an icon. It says nothing to a screen reader: the control around it has a label.
 * @param {Icon} name
 * @param {number} [size]
 */
export function icon(name, size = 18) {
  return html`<svg
    aria-hidden="true"
    width=${size}
    height=${size}
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    stroke-width="1.8"
    stroke-linecap="round"
    stroke-linejoin="round"
  >
    ${PATHS[name]}
  </svg>`;
}
