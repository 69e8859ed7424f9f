/**
 * The order that a user is writing: its fields as text, and the body of a request made of them.
 * @module
 */
import { parseNumber, unitsFor } from "./sizing.js";
import { store } from "./store.js";
import { instrument } from "./symbols.js";

/** The prices that belong to each order type. */
export const ENTRY_PRICES = /** @type {const} */ ({
  MARKET: [],
  LIMIT: ["limit_price"],
  STOP: ["stop_price"],
  STOP_LIMIT: ["stop_price", "limit_price"],
});

/** @typedef {"amount" | "limit_price" | "stop_price" | "stop_loss" | "target_price" | "trailing"} TicketField */

export class Draft {
  /** @type {Side} */
  side = "BUY";
  /** @type {OrderType} */
  orderType = "MARKET";
  /** @type {TimeInForce} */
  validity = "GTC";
  /** @type {import("./sizing.js").Sizing} */
  sizing = "units";
  isTrailingPercent = false;
  /** What is written in each field. @type {Record<TicketField, string>} */
  text = {
    amount: "",
    limit_price: "",
    stop_price: "",
    stop_loss: "",
    target_price: "",
    trailing: "",
  };

  /** @param {TicketRequest} request */
  take({ side, orderType, quantity, limitPrice, stopPrice, stopLoss, targetPrice }) {
    this.side = side;
    if (orderType) this.orderType = orderType;
    if (quantity) {
      this.sizing = "units";
      this.text.amount = String(quantity);
    }
    if (limitPrice) this.text.limit_price = String(limitPrice);
    if (stopPrice) this.text.stop_price = String(stopPrice);
    if (stopLoss) this.text.stop_loss = String(stopLoss);
    if (targetPrice) this.text.target_price = String(targetPrice);
  }

  /** Make this an order that waits for its price. */
  makeWait() {
    if (this.orderType === "MARKET") this.orderType = "LIMIT";
    if (this.validity === "IOC") this.validity = "GTC";
  }

  /** Return the other order of a pair: as large, and waiting on the other side of the price. */
  other() {
    const { side, sizing, validity, text } = this;
    const other = Object.assign(new Draft(), { side, sizing, validity });
    other.orderType = this.orderType === "LIMIT" ? "STOP" : "LIMIT";
    other.text.amount = text.amount;
    return other;
  }

  /** Remove what belongs to one symbol only. */
  clearPrices() {
    for (const field of /** @type {TicketField[]} */ (Object.keys(this.text))) {
      if (field !== "amount" || this.sizing === "units") this.text[field] = "";
    }
  }

  /** @param {TicketField} field */
  number(field) {
    return parseNumber(this.text[field]);
  }

  /** Return the price at which the order is expected to be filled. */
  get entry() {
    if (this.orderType === "MARKET") return store.quote(store.get("symbol"))?.price ?? null;
    return this.number(this.orderType === "STOP" ? "stop_price" : "limit_price");
  }

  get lot() {
    return instrument(store.get("symbol"))?.lot_size ?? 1;
  }

  /** Return the units, null if they cannot be known yet. */
  get units() {
    const { sizing, entry, lot } = this;
    const [amount, stop] = [this.number("amount"), this.number("stop_loss")];
    return unitsFor({ sizing, amount, entry, stop, lot });
  }

  /** Return in words what is still missing, empty if the order can be sent. */
  get missing() {
    const wanted = ENTRY_PRICES[this.orderType].find((field) => this.number(field) === null);
    if (wanted) return `Enter the ${wanted === "stop_price" ? "stop" : "limit"} price.`;
    const wrong = Object.entries(this.text).find(([, text]) => Number.isNaN(parseNumber(text)));
    if (wrong) return `“${wrong[1]}” is not a number.`;
    if (this.number("amount") === null) {
      return { units: "Enter a quantity.", value: "Enter rupees.", risk: "Enter rupees to risk." }[
        this.sizing
      ];
    }
    if (this.sizing === "risk" && !this.number("stop_loss")) {
      return "Enter a stop-loss: the risk is measured to it.";
    }
    if (this.units === 0 && this.sizing !== "units") return "This amount is less than one lot.";
    return this.units === null ? "Waiting for a price." : "";
  }

  /**
   * Return the body of a request.
   * @returns {OrderBody}
   */
  toBody() {
    /** @type {OrderBody} */
    const body = {
      symbol: store.get("symbol"),
      trade_type: this.side,
      quantity: this.units ?? 0,
      order_type: this.orderType,
      portfolio: store.get("portfolioName"),
    };
    if (this.orderType !== "MARKET") body.time_in_force = this.validity;
    for (const field of ENTRY_PRICES[this.orderType]) body[field] = this.number(field) ?? undefined;
    body.stop_loss = this.number("stop_loss") ?? undefined;
    body.target_price = this.number("target_price") ?? undefined;
    body[this.isTrailingPercent ? "trailing_pct" : "trailing_offset"] =
      this.number("trailing") ?? undefined;
    return body;
  }
}
