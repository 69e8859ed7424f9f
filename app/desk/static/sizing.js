/**
 * How many units an order has, from what the user wants to spend or to risk. Nothing here looks at
 * the page.
 * @module
 */

/** @typedef {"units" | "value" | "risk"} Sizing */

/**
 * Read a number as people write it: "1,23,456.50". Returns null for nothing, NaN for no number.
 * @param {string} text
 */
export function parseNumber(text) {
  const plain = text.replaceAll(/[,\s₹]/g, "");
  return plain === "" ? null : Number(plain);
}

/**
 * Return the units of an order in whole lots, 0 if not one lot fits, null if a figure is missing.
 * `amount` is units, the rupees that the units are worth, or the rupees that may be lost at the stop.
 * @param {{sizing: Sizing, amount: number | null, entry: number | null, stop: number | null,
 *   lot: number}} wish
 */
export function unitsFor({ sizing, amount, entry, stop, lot }) {
  if (amount === null || Number.isNaN(amount)) return null;
  // The server judges a number of units, whole lots or not.
  if (sizing === "units") return amount;
  const rupeesPerUnit = sizing === "value" ? entry : entry && stop ? Math.abs(entry - stop) : null;
  if (!rupeesPerUnit) return null;
  return Math.floor(amount / rupeesPerUnit / lot) * lot;
}

/**
 * Return the price that is `percent` away from another, on the tick of the instrument.
 * @param {number} price
 * @param {number} percent negative for a price below
 * @param {number} tick
 */
export function priceAt(price, percent, tick) {
  const wanted = price * (1 + percent / 100);
  return Number((Math.round(wanted / tick) * tick).toFixed(2));
}
