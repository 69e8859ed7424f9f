/**
 * The codes of the API in words, a table for each kind. A test compares the codes of each table with
 * those of the server.
 * @module
 */

/** @typedef {Readonly<Record<string, string>>} Words */

/** The states of a trade, for its result. @type {Words} */
export const STATUSES = {
  PENDING: "Waiting",
  ACTIVE: "Open",
  CLOSED: "Exited",
  STOP_LOSS_HIT: "Stop-loss",
  TARGET_HIT: "Target",
  TRAILING_STOP_HIT: "Trailing stop",
  SQUARED_OFF: "Squared off",
  LIQUIDATED: "Liquidated",
  CANCELLED: "Cancelled",
  EXPIRED: "Expired",
  REJECTED: "Rejected",
};

/** Why an entry ended unfilled. @type {Words} */
export const END_REASONS = {
  user: "You cancelled the order.",
  oco: "The other order of its pair was filled first.",
  oco_rejected: "The other order of its pair was rejected.",
  ioc: "It could not be filled at once, as its validity demands.",
  expired: "It was not filled before its validity ended.",
  portfolio_reset: "The portfolio was reset.",
  corporate_action: "Its share was reorganized.",
  insufficient_margin: "At its fill the free margin was too small.",
  unlisted_symbol: "Its share is no longer listed.",
  broker_ab1004: "The broker rejected it: something went wrong (AB1004).",
  broker_ab1007: "The broker rejected it: its order system failed (AB1007).",
  broker_ab2001: "The broker rejected it: internal error (AB2001).",
};

/** What closed a trade. @type {Words} */
export const EXIT_REASONS = {
  user: "You exited",
  stop_loss: "Stop-loss",
  trailing_stop: "The trailing stop",
  target: "Target",
};

/** How a price reached the level of a fill: `LEVEL` and `TICK` stand for them. @type {Words} */
export const RULES = {
  market: "LEVEL was reached by the tick TICK",
  stop: "LEVEL was reached by the tick TICK",
  limit: "LEVEL was reached by the tick TICK",
  opening: "The session opened beyond LEVEL, with TICK",
  auction: "The closing auction reached LEVEL, with TICK",
  candle: "LEVEL was reached in the candle with TICK",
};

/** Which price a fill was found by, if not by the tick itself. @type {Words} */
export const SETTLED_FROM = {
  gap: "It was found later, in the candles of a time without ticks.",
  quote: "It was found at the first price after a time without any.",
  last_price: "No source has had a price for a day, so the last known one counts.",
};

/** What a corporate action is called after its ratio: "1:1 bonus". @type {Words} */
export const ACTIONS = {
  dividend: "dividend",
  split: "split",
  bonus: "bonus",
  rights: "rights issue",
  merger: "merger",
  demerger: "demerger",
};

/** What moved money; the symbol of a trade stands before it. @type {Words} */
export const MOVEMENTS = {
  opening: "Portfolio opened",
  deposit: "Deposit",
  withdrawal: "Withdrawal",
  reset: "Portfolio reset",
  trade: "exit",
  dividend: "dividend",
  corporate_action: "corporate action",
};

/** Sources of prices. @type {Words} */
export const SOURCES = {
  angel_one: "Angel One",
  yahoo: "Yahoo, may be delayed",
  replay: "recording",
  mock: "simulated",
};

/** The kinds of events that a user can choose. @type {Words} */
export const EVENTS = {
  trade_created: "Order placed",
  trade_filled: "Order filled",
  trade_triggered: "Stop price reached",
  trade_modified: "Levels changed",
  trade_adjusted: "Corporate action",
  trade_cancelled: "Order cancelled",
  trade_expired: "Order expired",
  trade_rejected: "Order rejected",
  trade_partially_exited: "Part exited",
  trade_exited: "Trade exited",
  trade_auto_closed: "Stop or target reached",
  price_alert: "Price alert",
  funds_deposited: "Funds deposited",
  funds_withdrawn: "Funds withdrawn",
  portfolio_reset: "Portfolio reset",
  custom: "Anything else",
};

/** Events about the account itself, which a user always receives. @type {Words} */
export const NOTICES = {
  sign_in_failures: "Failed sign-ins",
  registration_attempted: "Registration attempted",
  api_key_created: "API key created",
  account_changed: "Account changed",
  webhook_disabled: "Webhook turned off",
};

/** How a portfolio fills its trades. @type {Words} */
export const FILL_PROFILES = {
  plain: "Plain",
  realistic: "Realistic",
  harsh: "Harsh",
};

/** What a fill profile means for the next trades. @type {Words} */
export const FILL_PROFILE_MEANINGS = {
  plain: "Orders at market fill at the last price, and a limit fills when the price touches it.",
  realistic:
    "Orders at market pay half the spread. A limit that the price only touches fills half of the " +
    "times: others were in the queue before it.",
  harsh:
    "As realistic. In addition, orders arrive late and pay 1 to 3 ticks more, a limit or " +
    "target may be filled in part, and the broker rejects 2 of 100 orders. It is for testing bots.",
};

/**
 * Return the words for a code of a table; a code that a newer server has stands for itself.
 * @param {Words} table
 * @param {string} code
 */
export function inWords(table, code) {
  return table[code] ?? words(code);
}

/**
 * Write a name of the API for people: stop_loss becomes "stop loss".
 * @param {string} name
 */
export function words(name) {
  return name.toLowerCase().replaceAll("_", " ");
}
