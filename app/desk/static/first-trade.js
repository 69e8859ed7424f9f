/**
 * The guided first trade: buy, protect, watch it close, read why. It can be skipped, and a
 * user who has traded before does not see it.
 * @module
 */
import { css, DeskElement, html, nothing, shared } from "./element.js";
import { describeFill } from "./evidence.js";
import { price, shortName } from "./format.js";
import { DONE, guideOf, hasTraded, keepGuide, NEW } from "./guide.js";
import { lastPrice } from "./profit.js";
import { priceAt } from "./sizing.js";
import { store } from "./store.js";
import { instrument, openTicket } from "./symbols.js";
import { detail } from "./trading.js";

/** Close enough that one of them is reached within minutes, in per cent of the price. */
const DISTANCE = 0.05;
const STEPS = ["Buy", "Protect", "Watch", "Read why"];

export class FirstTrade extends DeskElement {
  static watches = ["user", "trades", "ticket", "quotes"];
  static styles = [
    shared,
    css`
      section {
        display: flex;
        flex-wrap: wrap;
        gap: 6px 16px;
        align-items: center;
        min-height: 44px;
        padding: 6px 12px;
        border-bottom: 1px solid var(--line);
        background: var(--accent-soft);
      }
      ol {
        display: flex;
        gap: 12px;
        margin: 0;
        padding: 0;
        color: var(--muted);
        list-style: none;
      }
      li[aria-current="step"] {
        color: var(--accent);
        font-weight: 650;
      }
      p {
        flex: 1 1 280px;
      }
      button {
        background: var(--panel);
      }
      button.primary {
        background: var(--accent);
      }
    `,
  ];

  /** Whether the guide is shown. */
  isNew = false;
  /** The trade of the guide, once it was opened. @type {string | null} */
  tradeId = null;
  /** Why it ended. */
  reason = "";
  #user = "";
  #isReading = false;

  render() {
    const user = store.get("user")?.clientId;
    if (!user || !this.isNew) return nothing;
    const step = this.#step();
    return html`<section aria-label="Your first trade">
      <ol>
        ${STEPS.map(
          (name, place) =>
            html`<li aria-current=${place === step ? "step" : "false"}>${place + 1} ${name}</li>`,
        )}
      </ol>
      <p role=${step === 2 ? nothing : "status"}>${this.#text(step)}</p>
      ${
        step === 0
          ? html`<button class="primary" @click=${() => this.#fill()}>
              Fill the ticket for me
            </button>`
          : nothing
      }
      ${
        step === 3
          ? html`<button class="primary" @click=${() => this.#end()}>Done</button>`
          : html`<button @click=${() => this.#end()}>Skip</button>`
      }
    </section>`;
  }

  #step() {
    if (this.reason) return 3;
    if (this.tradeId) return 2;
    return store.get("ticket").stopLoss ? 1 : 0;
  }

  /** @param {number} step */
  #text(step) {
    const { symbol, side, stopLoss, targetPrice } = {
      ...store.get("ticket"),
      symbol: this.#symbol,
    };
    const name = shortName(symbol);
    if (step === 0) return `Buy 1 ${name}: only a fifth of its value is blocked as margin.`;
    if (step === 1) {
      const verb = side === "BUY" ? "Buy" : "Sell";
      return `The stop-loss ${price(stopLoss)} limits the loss, the target ${price(targetPrice)}
        takes the profit. Now press “${verb} 1 ${name} at market” in the ticket.`;
    }
    if (step === 3) return this.reason;
    const trade = store.get("trades").get(this.tradeId ?? "");
    if (!trade) return "The trade is closed. Reading why …";
    return `${name} is at ${price(lastPrice(trade))}. The server closes the trade at
      ${price(trade.stop_loss)} or ${price(trade.target_price)}, even if you leave.`;
  }

  get #symbol() {
    return store.get("trades").get(this.tradeId ?? "")?.symbol ?? store.get("symbol");
  }

  willUpdate() {
    const user = store.get("user")?.clientId ?? "";
    if (user !== this.#user) this.#begin(user);
  }

  updated() {
    if (!this.isNew) return;
    const [newest] = store.get("trades").values();
    if (!this.tradeId && newest?.status === "ACTIVE") {
      keepGuide(this.#user, newest.trade_id);
      this.change({ tradeId: newest.trade_id });
    }
    const isClosed = this.tradeId && !store.get("trades").has(this.tradeId);
    if (isClosed && !this.reason && !this.#isReading) void this.#readReason();
  }

  /** @param {string} user */
  #begin(user) {
    this.#user = user;
    const kept = guideOf(user);
    const isNew = kept !== null && kept !== DONE;
    const tradeId = kept === NEW ? null : kept;
    Object.assign(this, { isNew, tradeId: isNew ? tradeId : null, reason: "" });
    if (user && kept === NEW) void this.#check(user);
  }

  /**
   * End the guide if the user has traded on another device.
   * @param {string} user
   */
  async #check(user) {
    try {
      const isOver = (await hasTraded(user)) && guideOf(user) === NEW;
      if (isOver && this.#user === user) this.#end();
    } catch {
      // The guide stays: nothing speaks against it.
    }
  }

  #fill() {
    const symbol = store.get("symbol");
    const now = store.quote(symbol)?.price;
    if (!now) return;
    const tick = instrument(symbol)?.tick_size ?? 0.05;
    openTicket(symbol, "BUY", {
      orderType: "MARKET",
      quantity: instrument(symbol)?.lot_size ?? 1,
      stopLoss: priceAt(now, -DISTANCE, tick),
      targetPrice: priceAt(now, DISTANCE, tick),
    });
  }

  async #readReason() {
    this.#isReading = true;
    try {
      const trade = await detail(this.tradeId ?? "");
      const last = trade.fills.at(-1);
      // The list of trades may not have arrived yet.
      if (trade.status !== "ACTIVE" && last) this.change({ reason: describeFill(trade, last) });
    } catch {
      this.#end();
    } finally {
      this.#isReading = false;
    }
  }

  #end() {
    keepGuide(this.#user, DONE);
    this.change({ isNew: false });
  }
}

customElements.define("first-trade", FirstTrade);
