/**
 * The orders of the ticket: one, or a pair of which the first to fill cancels the other.
 * @module
 */
import { ApiError } from "./api.js";
import { Draft } from "./ticket-draft.js";
import { TicketOrder } from "./ticket-order.js";
import { place, placePair } from "./trading.js";

export class TicketOrders {
  isBusy = false;
  /** The place of the order that the ticket shows, from 0. */
  shown = 0;

  /** @param {() => void} onChange called after each change */
  constructor(onChange) {
    this.onChange = onChange;
    this.all = [new TicketOrder(new Draft(), onChange)];
  }

  /** The order that the ticket shows. */
  get current() {
    return this.all[this.shown];
  }

  get isPair() {
    return this.all.length === 2;
  }

  /** Say in words what is still missing, empty if the ticket can be sent. */
  get missing() {
    const place = this.all.findIndex(({ draft }) => draft.missing !== "");
    if (place < 0) return "";
    const { missing } = this.all[place].draft;
    return place === this.shown ? missing : `Order ${place + 1}: ${missing}`;
  }

  /** Say what the server refuses, empty if nothing. */
  get message() {
    if (this.current.message) return this.current.message;
    const place = this.all.findIndex(({ message }) => message !== "");
    return place < 0 ? "" : `Order ${place + 1}: ${this.all[place].message}`;
  }

  get isRefused() {
    return this.all.some((order) => order.isRefused);
  }

  /** The margin that both orders of a pair block until one is filled; null if it is not known. */
  get marginOfBoth() {
    const [first, second] = this.all.map(({ preview }) => preview?.margin_required);
    return first == null || second == null ? null : first + second;
  }

  /**
   * Show an order.
   * @param {number} place from 0
   */
  show(place) {
    this.shown = place;
    this.onChange();
  }

  /** Add the other order of a pair, and show it. Both wait, so neither is a market order. */
  pair() {
    const { draft } = this.current;
    draft.makeWait();
    this.current.draftChanged();
    this.all = [this.current, new TicketOrder(draft.other(), this.onChange)];
    this.shown = 1;
    this.current.draftChanged();
  }

  /** Keep only the order that is shown. */
  unpair() {
    this.all = [this.current];
    this.shown = 0;
    this.current.draftChanged();
  }

  /** Take note that all drafts changed. */
  changed() {
    for (const order of this.all) order.draftChanged();
  }

  /** Take note that the price moved. */
  priceMoved() {
    for (const order of this.all) order.priceMoved();
  }

  /**
   * Place the orders. Returns null and keeps the reason if the server refuses them.
   * @returns {Promise<Trade[] | null>}
   */
  async place() {
    if (this.isBusy || this.missing) return null;
    this.isBusy = true;
    this.onChange();
    try {
      return await this.#send();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#keep(error);
      return null;
    } finally {
      this.isBusy = false;
      this.onChange();
    }
  }

  async #send() {
    const bodies = this.all.map(({ draft }) => draft.toBody());
    const key = this.all.map((order) => order.key).join("");
    const trades = this.isPair ? await placePair(bodies, key) : [await place(bodies[0], key)];
    this.all = [this.current];
    this.shown = 0;
    this.current.draftChanged();
    return trades;
  }

  /** @param {ApiError} error */
  #keep(error) {
    if (!this.isPair) return this.current.keep(error);
    const named = Object.keys(error.details).map((name) => /^orders\.([01])\./.exec(name)?.[1]);
    const place = error.details.order
      ? error.details.order - 1
      : Number(named.find(Boolean) ?? this.shown);
    this.shown = place;
    this.current.keep(error, place);
  }
}
