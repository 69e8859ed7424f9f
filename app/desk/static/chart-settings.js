/**
 * What a user chose for the chart of each symbol, kept on this browser.
 * @module
 */
import { INTERVALS } from "./chart-candles.js";

const KEY = "desk.chart";
/** Symbols whose settings are kept; those that were changed last stay. */
const MOST_SYMBOLS = 100;

/** @typedef {{interval: import("./chart-candles.js").Interval, indicators: string[]}} Settings */

/** @type {Settings} */
const FIRST = { interval: "5m", indicators: ["VOL"] };

/**
 * Return the settings of a symbol. One without its own has those that were chosen last.
 * @param {string} symbol
 * @returns {Settings}
 */
export function settingsOf(symbol) {
  const kept = read();
  const found = kept.get(symbol) ?? [...kept.values()].at(-1) ?? FIRST;
  const interval = found.interval in INTERVALS ? found.interval : FIRST.interval;
  return { interval, indicators: [...(found.indicators ?? FIRST.indicators)] };
}

/**
 * Keep the settings of a symbol.
 * @param {string} symbol
 * @param {Settings} settings
 */
export function keepSettings(symbol, settings) {
  const kept = read();
  kept.delete(symbol);
  kept.set(symbol, settings);
  const newest = [...kept].slice(-MOST_SYMBOLS);
  try {
    localStorage.setItem(KEY, JSON.stringify(newest));
  } catch {
    // The storage is full or off: the choice lasts until the page is closed.
  }
}

/** @returns {Map<string, Settings>} */
function read() {
  try {
    return new Map(JSON.parse(localStorage.getItem(KEY) ?? "[]"));
  } catch {
    return new Map();
  }
}
