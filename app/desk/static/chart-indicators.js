/**
 * The indicators of the chart. The library has all but VWAP.
 * @module
 */
import { beginningOf } from "./chart-candles.js";

/** @typedef {import("klinecharts").KLineData} Candle */

/**
 * @typedef {object} Indicator
 * @property {string} name
 * @property {string} label
 * @property {boolean} inPrice
 * @property {number[]} calcParams
 * @property {boolean} [needsVolume]
 */

/** Indicators in the price pane share its scale, others have panes of their own. @type {Indicator[]} */
export const INDICATORS = [
  { name: "MA", label: "SMA 20, 50", inPrice: true, calcParams: [20, 50] },
  { name: "EMA", label: "EMA 9, 21", inPrice: true, calcParams: [9, 21] },
  { name: "BOLL", label: "Bollinger bands 20, 2", inPrice: true, calcParams: [20, 2] },
  { name: "VWAP", label: "VWAP of the day", inPrice: true, calcParams: [], needsVolume: true },
  { name: "VOL", label: "Volume", inPrice: false, calcParams: [20], needsVolume: true },
  { name: "RSI", label: "RSI 14", inPrice: false, calcParams: [14] },
  { name: "MACD", label: "MACD 12, 26, 9", inPrice: false, calcParams: [12, 26, 9] },
];

/** @param {typeof import("klinecharts")} library */
export function defineIndicators(library) {
  library.registerIndicator({
    name: "VWAP",
    shortName: "VWAP",
    series: "price",
    precision: 2,
    figures: [{ key: "vwap", title: "VWAP: ", type: "line" }],
    calc: (candles) => vwap(candles).map((value) => (value === null ? {} : { vwap: value })),
  });
}

/**
 * Return the volume-weighted average price since the beginning of each candle's day, of the
 * typical prices of the candles; null without volume.
 * @param {Candle[]} candles
 * @returns {(number | null)[]}
 */
export function vwap(candles) {
  let day = 0;
  let amount = 0;
  let volume = 0;
  return candles.map((candle) => {
    const begins = beginningOf(candle.timestamp, "1d");
    if (begins !== day) [day, amount, volume] = [begins, 0, 0];
    amount += ((candle.high + candle.low + candle.close) / 3) * (candle.volume ?? 0);
    volume += candle.volume ?? 0;
    return volume > 0 ? amount / volume : null;
  });
}

/**
 * Show exactly these indicators, in the order of the list. Without volume, as of an index, those
 * that need it are left out.
 * @param {import("klinecharts").Chart} chart
 * @param {string[]} names
 * @param {boolean} hasVolume
 */
export function showIndicators(chart, names, hasVolume) {
  for (const { name, inPrice, calcParams, needsVolume } of INDICATORS) {
    const isShown = chart.getIndicators({ id: name }).length > 0;
    const isWanted = names.includes(name) && (hasVolume || !needsVolume);
    if (isShown && !isWanted) chart.removeIndicator({ id: name });
    if (isShown || !isWanted) continue;
    const pane = inPrice ? { paneId: "candle_pane" } : { paneId: `pane-${name}` };
    chart.createIndicator({ id: name, name, calcParams, ...pane }, true);
  }
}
