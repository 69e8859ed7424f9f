/**
 * The chart library, loaded when the first chart is shown, with the desk's look and language.
 * @module
 */
import { whole } from "./format.js";
import { short } from "./numbers.js";
import { defineIndicators } from "./chart-indicators.js";

/** @typedef {import("klinecharts").Chart} Chart */
/** @typedef {typeof import("klinecharts")} Library */

// Its ES module reads `process`, which browsers lack; this build sets a global variable.
const ADDRESS = "/desk/vendor/klinecharts/dist/umd/klinecharts.min.js";
const ZONE = "Asia/Kolkata";

/** @type {Promise<Library> | null} */
let loading = null;

/**
 * Load the library once.
 * @returns {Promise<Library>}
 */
export function loadLibrary() {
  loading ??= import(ADDRESS).then(() => {
    const library = /** @type {{klinecharts: Library}} */ (/** @type {unknown} */ (globalThis))
      .klinecharts;
    defineIndicators(library);
    return library;
  });
  loading.catch(() => (loading = null));
  return loading;
}

/**
 * Make a chart in an element.
 * @param {Library} library
 * @param {HTMLElement} element
 */
export function makeChart(library, element) {
  const chart = library.init(element, {
    locale: "en-US",
    timezone: ZONE,
    // The desk has shortcuts of its own.
    hotkey: { enabled: false },
    thousandsSeparator: { sign: ",", format: (value) => grouped(String(value)) },
    decimalFold: { threshold: 99 },
    formatter: { formatBigNumber: (value) => short(Number(value)), formatDate },
  });
  if (!chart) throw new Error("The chart could not be made.");
  // Without hotkeys there is nothing to do there for a keyboard; the library puts it first of all.
  for (const each of element.querySelectorAll("[tabindex]")) each.removeAttribute("tabindex");
  return chart;
}

/**
 * Give a chart the colours of the theme that an element has.
 * @param {Chart} chart
 * @param {HTMLElement} element
 */
export function applyTheme(chart, element) {
  const style = getComputedStyle(element);
  /** @param {string} name */
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const font = { family: style.fontFamily, size: 11 };
  const [up, down, muted, line] = ["up", "down", "muted", "line"].map(colour);
  const text = { ...font, color: muted };
  const legend = { ...text, marginTop: 3, marginBottom: 1 };
  const tag = { ...font, color: colour("panel"), backgroundColor: muted, borderColor: muted };
  const axis = { axisLine: { color: line }, tickLine: { color: line }, tickText: text };
  const bars = { upColor: `${up}80`, downColor: `${down}80`, noChangeColor: `${muted}80` };
  chart.setStyles({
    grid: { horizontal: { color: line }, vertical: { color: line } },
    candle: {
      // A rise is hollow, so that it differs from a fall without colour.
      type: "candle_up_stroke",
      bar: {
        ...{ upColor: up, downColor: down, noChangeColor: muted },
        ...{ upBorderColor: up, downBorderColor: down, noChangeBorderColor: muted },
        ...{ upWickColor: up, downWickColor: down, noChangeWickColor: muted },
      },
      priceMark: {
        high: { color: muted, textFamily: font.family },
        low: { color: muted, textFamily: font.family },
        last: {
          ...{ upColor: up, downColor: down, noChangeColor: muted },
          text: { ...font, color: colour("on-fill") },
        },
      },
      tooltip: { title: { show: false }, legend: { ...legend, template: legendOf } },
    },
    indicator: {
      bars: [bars],
      ohlc: bars,
      lines: ["warn", "accent", "muted", "up", "down"].map((name) => ({ color: colour(name) })),
      tooltip: { title: legend, legend },
    },
    xAxis: axis,
    yAxis: axis,
    separator: { color: line },
    crosshair: {
      horizontal: { line: { color: muted }, text: tag },
      vertical: { line: { color: muted }, text: tag },
    },
  });
}

/**
 * Return the values under the crosshair; those of the last candle without one.
 * @param {import("klinecharts").NeighborData<import("klinecharts").Nullable<import("klinecharts").KLineData>>} data
 */
function legendOf({ current }) {
  const volume = current?.volume ? [{ title: "Vol ", value: "{volume}" }] : [];
  return [
    { title: "", value: "{time}" },
    { title: "O ", value: "{open}" },
    { title: "H ", value: "{high}" },
    { title: "L ", value: "{low}" },
    { title: "C ", value: "{close}" },
    { title: "", value: "{change}" },
    ...volume,
  ];
}

/** @param {string} value */
function grouped(value) {
  const [, number = "", rest = ""] = /^(-?\d+)(.*)$/.exec(value) ?? [];
  return number ? whole(Number(number)) + rest : value;
}

const DAY = new Intl.DateTimeFormat("en-IN", { timeZone: ZONE, day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-IN", {
  ...{ timeZone: ZONE, day: "numeric", month: "short", year: "2-digit" },
});
const TIME = new Intl.DateTimeFormat("en-IN", {
  ...{ timeZone: ZONE, hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
});

/** @param {import("klinecharts").FormatDateParams} moment */
function formatDate({ timestamp, template, type }) {
  const hasTime = template.includes("HH");
  if (type === "xAxis") {
    if (hasTime && !template.includes("DD")) return TIME.format(timestamp);
    return template.includes("YYYY") ? DATE.format(timestamp) : DAY.format(timestamp);
  }
  return hasTime ? `${DAY.format(timestamp)} ${TIME.format(timestamp)}` : DATE.format(timestamp);
}
