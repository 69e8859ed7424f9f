/**
 * Numbers, times and names as people in India write them. Nothing here looks at the page.
 * @module
 */
import { inWords, SOURCES } from "./reasons.js";

const RUPEES = new Intl.NumberFormat("en-IN", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const WHOLE = new Intl.NumberFormat("en-IN", { maximumFractionDigits: 0 });
const PERCENT = new Intl.NumberFormat("en-IN", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const ZONE = { timeZone: "Asia/Kolkata" };
const TIME = new Intl.DateTimeFormat("en-IN", {
  ...ZONE,
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat("en-IN", { ...ZONE, day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-IN", {
  ...ZONE,
  day: "numeric",
  month: "short",
  year: "numeric",
});
const DASH = "–";
const MINUS = "\u2212";

/** @typedef {number | null | undefined} Amount */

/**
 * Write rupees without a sign of the currency: 1,23,456.70.
 * @param {Amount} amount
 */
export function price(amount) {
  return amount == null ? DASH : RUPEES.format(amount).replace("-", MINUS);
}

/**
 * Write rupees with their sign: ₹1,23,456.70.
 * @param {Amount} amount
 */
export function rupees(amount) {
  if (amount == null) return DASH;
  return `${amount < 0 ? MINUS : ""}₹${RUPEES.format(Math.abs(amount))}`;
}

/**
 * Write a profit or loss with its sign: +1,240.00.
 * @param {Amount} amount
 */
export function signed(amount) {
  if (amount == null) return DASH;
  const sign = amount > 0 ? "+" : amount < 0 ? MINUS : "";
  return sign + RUPEES.format(Math.abs(amount));
}

/**
 * Write a change in per cent with its sign: +0.42%.
 * @param {Amount} amount
 */
export function percent(amount) {
  if (amount == null) return DASH;
  const sign = amount > 0 ? "+" : amount < 0 ? MINUS : "";
  return `${sign}${PERCENT.format(Math.abs(amount))}%`;
}

/**
 * Write the change of a price since the previous close: ▲ +60.55 (+0.25%). Empty if it is unknown.
 * @param {Quote | undefined} quote
 */
export function change(quote) {
  if (quote?.change === undefined) return "";
  return `${arrow(quote.change)} ${signed(quote.change)} (${percent(quote.change_pct)})`;
}

/**
 * Write a number of units: 1,23,456.
 * @param {Amount} count
 */
export function whole(count) {
  return count == null ? DASH : WHOLE.format(count);
}

/**
 * Return the arrow that tells a rise from a fall without colour.
 * @param {Amount} amount
 */
export function arrow(amount) {
  return !amount ? "" : amount > 0 ? "▲" : "▼";
}

/**
 * Return the class of an amount: up, down or flat.
 * @param {Amount} amount
 */
export function trend(amount) {
  return !amount ? "flat" : amount > 0 ? "up" : "down";
}

/**
 * Write the time of day in India: 10:15:04.
 * @param {string | number | Date | null | undefined} moment
 */
export function time(moment) {
  return moment == null ? DASH : TIME.format(new Date(moment));
}

/**
 * Write a moment as today's time, or with its day: 10:15:04, or 26 Nov 10:15:04.
 * @param {string | number | Date | null | undefined} moment
 */
export function moment(moment) {
  if (moment == null) return DASH;
  const date = new Date(moment);
  const isToday = DATE.format(date) === DATE.format(new Date());
  return isToday ? TIME.format(date) : `${DAY.format(date)} ${TIME.format(date)}`;
}

/**
 * Write a day: 30 Nov 2026.
 * @param {string | number | Date | null | undefined} day
 */
export function date(day) {
  return day == null ? DASH : DATE.format(new Date(day));
}

/**
 * Write an age in the largest unit that fits: 3 s, 4 min, 2 h, 5 d.
 * @param {number} seconds
 */
export function age(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/**
 * Name the source of a price for people.
 * @param {string} source
 */
export function sourceName(source) {
  return inWords(SOURCES, source);
}

/**
 * Return what a symbol is called in a narrow column: RELIANCE for RELIANCE.NS, NIFTY for ^NSEI.
 * @param {string} symbol
 */
export function shortName(symbol) {
  const names = { "^NSEI": "NIFTY 50", "^BSESN": "SENSEX", "^NSEBANK": "BANKNIFTY" };
  const known = names[/** @type {keyof typeof names} */ (symbol)];
  return known ?? symbol.replace(/\.(NS|BO)$/, "");
}

/**
 * Write a sentence of the API with the name that the desk shows in place of a symbol.
 * @param {string} sentence
 * @param {unknown} symbol none if it is no text
 */
export function withShortName(sentence, symbol) {
  if (typeof symbol !== "string" || symbol === "") return sentence;
  return sentence.replaceAll(symbol, shortName(symbol));
}
