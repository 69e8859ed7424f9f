/**
 * The base of the desk's elements: reactive properties, lit-html templates, shared styles.
 * @module
 */
import { css, ReactiveElement } from "/desk/vendor/@lit/reactive-element/reactive-element.js";
import { html, nothing, render } from "/desk/vendor/lit-html/lit-html.js";
import { store } from "./store.js";

export { css, html, nothing };

/** Styles that every element has: controls, tables, and the colours of rise and fall. */
export const shared = css`
  :host {
    box-sizing: border-box;
    display: block;
    min-width: 0;
  }
  :host([hidden]),
  [hidden] {
    display: none !important;
  }
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  h1,
  h2,
  h3,
  p {
    margin: 0;
  }
  h2 {
    font-size: var(--size-m);
    font-weight: 600;
  }
  a {
    color: var(--accent);
  }
  button,
  input,
  select {
    color: inherit;
    font: inherit;
    font-feature-settings: inherit;
    letter-spacing: inherit;
  }
  button {
    min-height: 26px;
    padding: 2px 10px;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--raised);
    cursor: pointer;
    white-space: nowrap;
  }
  button:hover:not(:disabled) {
    border-color: var(--line-strong);
  }
  button:disabled {
    cursor: not-allowed;
    opacity: 0.55;
  }
  button.plain {
    border-color: transparent;
    background: none;
  }
  button.plain:hover:not(:disabled) {
    background: var(--hover);
  }
  button.primary {
    border-color: transparent;
    background: var(--accent);
    color: var(--on-accent);
    font-weight: 600;
  }
  button.danger {
    border-color: transparent;
    background: var(--down);
    color: var(--on-fill);
    font-weight: 600;
  }
  input,
  select {
    width: 100%;
    min-height: 28px;
    padding: 2px 8px;
    border: 1px solid var(--line-strong);
    border-radius: var(--radius);
    background: var(--panel);
  }
  input[type="checkbox"] {
    width: auto;
    min-height: 0;
    accent-color: var(--accent);
  }
  input[aria-invalid="true"] {
    border-color: var(--down);
  }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 1px;
  }
  table {
    width: 100%;
    border-collapse: collapse;
  }
  th {
    position: sticky;
    top: 0;
    z-index: 1;
    background: var(--panel);
    color: var(--muted);
    font-size: var(--size-s);
    font-weight: 500;
    text-align: start;
    white-space: nowrap;
  }
  th,
  td {
    height: var(--row);
    padding: 0 8px;
    border-bottom: 1px solid var(--line);
    white-space: nowrap;
  }
  tbody tr:hover {
    background: var(--hover);
  }
  .number {
    text-align: end;
  }
  .muted {
    color: var(--muted);
  }
  .small {
    font-size: var(--size-s);
  }
  .up {
    color: var(--up);
  }
  .down {
    color: var(--down);
  }
  .error {
    color: var(--down);
    font-size: var(--size-s);
  }
  .empty {
    padding: 28px 16px;
    color: var(--muted);
    text-align: center;
  }
  .tag {
    display: inline-block;
    padding: 0 5px;
    border-radius: 3px;
    background: var(--raised);
    color: var(--muted);
    font-size: var(--size-s);
    line-height: 1.55;
  }
  .tag.buy {
    background: var(--accent-soft);
    color: var(--accent);
  }
  .tag.sell {
    background: var(--down-soft);
    color: var(--down);
  }
  .tag.warn {
    background: var(--warn-soft);
    color: var(--warn);
  }
  .hidden-text {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  @media (pointer: coarse) {
    button {
      min-height: 36px;
    }
    input,
    select {
      min-height: 40px;
      font-size: 16px;
    }
  }
`;

/** An element with a template. Subclasses implement `render`. */
export class DeskElement extends ReactiveElement {
  static styles = [shared];

  /**
   * Keys of the store whose change renders the element again.
   * @type {string[]}
   */
  static watches = [];

  /** @type {Map<string, () => void>} */
  #watched = new Map();

  /** @returns {unknown} */
  render() {
    return nothing;
  }

  connectedCallback() {
    super.connectedCallback();
    this.watch(...this.watchedKeys());
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.watch();
  }

  /**
   * Return the keys of the store that this element shows; subclasses may add some.
   * @returns {string[]}
   */
  watchedKeys() {
    return /** @type {typeof DeskElement} */ (this.constructor).watches;
  }

  /**
   * Render again whenever one of these keys of the store changes, and no others.
   * @param {...string} keys
   */
  watch(...keys) {
    for (const [key, stop] of this.#watched) {
      if (keys.includes(key)) continue;
      stop();
      this.#watched.delete(key);
    }
    for (const key of keys) {
      if (this.#watched.has(key)) continue;
      this.#watched.set(
        key,
        store.watch(key, () => this.requestUpdate()),
      );
    }
  }

  /**
   * Set fields and render again.
   * @param {Record<string, unknown>} fields
   */
  change(fields) {
    Object.assign(this, fields);
    this.requestUpdate();
  }

  /** @param {import("/desk/vendor/@lit/reactive-element/reactive-element.js").PropertyValues} changed */
  update(changed) {
    // Templates see what the update has set, as in Lit's own element.
    const template = this.render();
    super.update(changed);
    render(template, this.renderRoot, { host: this });
  }
}
