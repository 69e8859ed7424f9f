/**
 * The choice of a watchlist, and the controls that create, rename and delete one.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { store } from "./store.js";
import { chooseList, createList, deleteList, renameList, shownList } from "./watch-lists.js";

export class ListPicker extends DeskElement {
  static watches = ["lists", "listId"];
  static styles = [
    shared,
    css`
      :host {
        padding: 6px 8px;
        border-top: 1px solid var(--line);
      }
      .row {
        display: flex;
        gap: 4px;
        align-items: center;
      }
      select {
        flex: 1;
        min-width: 0;
        padding-inline: 4px;
        border-color: var(--line);
      }
      .row button {
        padding-inline: 7px;
      }
    `,
  ];

  /** @type {"create" | "rename" | null} */
  editing = null;
  message = "";

  render() {
    return html`
      ${this.editing ? this.#form() : this.#choice()}
      <p class="error" role="alert" ?hidden=${!this.message}>${this.message}</p>
    `;
  }

  #choice() {
    const lists = store.get("lists");
    const chosen = (/** @type {Event} */ event) =>
      chooseList(/** @type {HTMLSelectElement} */ (event.target).value);
    return html`<div class="row">
      <select aria-label="Watchlist shown" @change=${chosen}>
        ${lists.map(
          (list) =>
            html`<option
              value=${list.watchlist_id}
              ?selected=${list.watchlist_id === store.get("listId")}
            >
              ${list.name} (${list.symbols.length})
            </option>`,
        )}
      </select>
      <button class="plain" @click=${() => this.change({ editing: "create" })}>New</button>
      <button class="plain" @click=${() => this.change({ editing: "rename" })}>Rename</button>
      ${
        lists.length > 1
          ? html`<button class="plain" @click=${() => this.#run(deleteList)}>Delete</button>`
          : nothing
      }
    </div>`;
  }

  #form() {
    const isNew = this.editing === "create";
    return html`<form
      class="row"
      @submit=${(/** @type {SubmitEvent} */ event) => this.#submit(event)}
    >
      <input
        name="name"
        required
        maxlength="40"
        autocomplete="off"
        aria-label=${isNew ? "Name of the new list" : "New name of the list"}
        placeholder="Name of the list"
        .value=${isNew ? "" : (shownList()?.name ?? "")}
      />
      <button class="primary">${isNew ? "Create" : "Save"}</button>
      <button
        type="button"
        class="plain"
        @click=${() => this.change({ editing: null, message: "" })}
      >
        Cancel
      </button>
    </form>`;
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const name = String(new FormData(form).get("name"));
    void this.#run(() => (this.editing === "create" ? createList(name) : renameList(name)));
  }

  updated() {
    if (this.editing) this.renderRoot.querySelector("input")?.focus();
  }

  /** @param {() => Promise<void>} task */
  async #run(task) {
    try {
      await task();
      this.change({ editing: null, message: "" });
    } catch (error) {
      this.change({ message: String(Object(error).message) });
    }
  }
}

customElements.define("list-picker", ListPicker);
