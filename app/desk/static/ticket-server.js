/**
 * The ticket's talk with the server: asks what the draft would do, and places it.
 * @module
 */
import { ApiError, newKey } from "./api.js";
import { store } from "./store.js";
import { place, preview } from "./trading.js";

/** How long to wait for the next key before the server is asked, in milliseconds. */
const PAUSE = 250;
/** How often a moving price is previewed again, in milliseconds. */
const PRICE_PAUSE = 5_000;
/** What the ticket calls a field of the API. @type {Record<string, string>} */
const FIELDS = { quantity: "amount", trailing_offset: "trailing", trailing_pct: "trailing" };

export class TicketServer {
  /** @type {Preview | null} */
  preview = null;
  /** What is wrong with each field, in the API's words. @type {Record<string, string>} */
  faults = {};
  /** What is wrong with no field. */
  message = "";
  isBusy = false;
  /** Whether another attempt with the same draft is pointless. */
  isRefused = false;
  #key = newKey();
  #asked = 0;
  #askedAt = 0;
  #timer = 0;

  /**
   * @param {import("./ticket-draft.js").Draft} draft
   * @param {() => void} onChange called after each answer
   */
  constructor(draft, onChange) {
    this.draft = draft;
    this.onChange = onChange;
  }

  /** Take note that the draft changed: it is another order, and is previewed after a pause. */
  draftChanged() {
    this.#key = newKey();
    this.faults = {};
    this.message = "";
    this.isRefused = false;
    this.#asked += 1;
    clearTimeout(this.#timer);
    if (this.draft.missing) this.preview = null;
    else this.#timer = setTimeout(() => void this.#ask(), PAUSE);
    this.onChange();
  }

  /** Take note that the price moved: the preview of a market order is asked for again at times. */
  priceMoved() {
    const isDue = Date.now() - this.#askedAt > PRICE_PAUSE;
    const isLive = this.draft.orderType === "MARKET" && !document.hidden;
    if (this.preview && isDue && isLive && !this.draft.missing) void this.#ask();
  }

  /**
   * Place the order. Returns null and keeps the reason if the server refuses it.
   * @returns {Promise<Trade | null>}
   */
  async place() {
    if (this.isBusy || this.draft.missing) return null;
    this.isBusy = true;
    this.onChange();
    try {
      const trade = await place(this.draft.toBody(), this.#key);
      this.#key = newKey();
      return trade;
    } catch (error) {
      this.#keep(error);
      return null;
    } finally {
      this.isBusy = false;
      this.onChange();
    }
  }

  async #ask() {
    // The user may have signed out during the pause.
    if (!store.get("user")) return;
    const number = ++this.#asked;
    this.#askedAt = Date.now();
    try {
      const answer = await preview(this.draft.toBody());
      // A later draft may have overtaken this answer.
      if (number !== this.#asked) return;
      this.preview = answer;
      this.faults = this.#faultsOf(answer.problems);
      this.message = answer.problems[0]?.error ?? "";
      this.isRefused = this.message !== "";
    } catch (error) {
      if (number !== this.#asked) return;
      this.preview = null;
      this.#keep(error);
    }
    this.onChange();
  }

  /** @param {Problem[]} problems */
  #faultsOf(problems) {
    const known = problems.filter(({ details }) => typeof details.param === "string");
    const pairs = known.map(({ details, error }) => [fieldOf(String(details.param)), error]);
    return Object.fromEntries(pairs.reverse());
  }

  /** @param {unknown} error */
  #keep(error) {
    if (!(error instanceof ApiError)) throw error;
    this.message = error.message;
    this.isRefused = error.status === 400;
    if (error.code === "validation_error") {
      const pairs = Object.entries(error.details);
      this.faults = Object.fromEntries(
        pairs.map(([name, fault]) => [fieldOf(name), String(fault)]),
      );
    } else if (typeof error.details.param === "string") {
      this.faults = { [fieldOf(error.details.param)]: error.message };
    }
  }
}

/** @param {string} name */
function fieldOf(name) {
  return FIELDS[name] ?? name;
}
