/**
 * One order of the ticket: its draft, and what the server says of it.
 * @module
 */
import { ApiError, newKey } from "./api.js";
import { withShortName } from "./format.js";
import { store } from "./store.js";
import { preview } from "./trading.js";

/** How long to wait for the next key before the server is asked, in milliseconds. */
const PAUSE = 250;
/** How often a moving price is previewed again, in milliseconds. */
const PRICE_PAUSE = 5_000;
/** What the ticket calls a field of the API. @type {Record<string, string>} */
const FIELDS = { quantity: "amount", trailing_offset: "trailing", trailing_pct: "trailing" };

export class TicketOrder {
  /** @type {Preview | null} */
  preview = null;
  /** What is wrong with each field, in the API's words. @type {Record<string, string>} */
  faults = {};
  /** What is wrong with no field. */
  message = "";
  /** Whether another attempt with the same draft is pointless. */
  isRefused = false;
  /** The idempotency key of the draft as it is. */
  key = newKey();
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
    this.key = newKey();
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
   * Keep why the server refused the order, beside the fields that it names. Of a pair it names
   * them with the `place` of the order in the request, from 0.
   * @param {ApiError} error
   * @param {number | null} [place]
   */
  keep(error, place = null) {
    this.message = named(error.message);
    this.isRefused = error.status === 400;
    if (error.code === "validation_error") {
      const prefix = place === null ? "" : `orders.${place}.`;
      const own = Object.entries(error.details).filter(([name]) => name.startsWith(prefix));
      const pairs = own.map(([name, fault]) => [fieldOf(name.slice(prefix.length)), String(fault)]);
      this.faults = Object.fromEntries(pairs);
    } else if (typeof error.details.param === "string") {
      this.faults = { [fieldOf(error.details.param)]: this.message };
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
      this.message = named(answer.problems[0]?.error ?? "");
      this.isRefused = this.message !== "";
    } catch (error) {
      if (number !== this.#asked) return;
      if (!(error instanceof ApiError)) throw error;
      this.preview = null;
      this.keep(error);
    }
    this.onChange();
  }

  /** @param {Problem[]} problems */
  #faultsOf(problems) {
    const known = problems.filter(({ details }) => typeof details.param === "string");
    const pairs = known.map(({ details, error }) => [fieldOf(String(details.param)), named(error)]);
    return Object.fromEntries(pairs.reverse());
  }
}

/**
 * Write a sentence of the API about the chosen symbol with the name that the desk shows.
 * @param {string} sentence
 */
function named(sentence) {
  return withShortName(sentence, store.get("symbol"));
}

/** @param {string} name */
function fieldOf(name) {
  return FIELDS[name] ?? name;
}
