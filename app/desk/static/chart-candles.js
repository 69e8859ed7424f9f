/**
 * Candles of a symbol: those of the API, older ones on request, and the last one kept live.
 * @module
 */
import * as api from "./api.js";

/** @typedef {import("klinecharts").KLineData} Candle */

const MINUTE = 60_000;
/** The intervals of the API. `length` is in milliseconds. */
export const INTERVALS = /** @type {const} */ ({
  "1m": { label: "1 min", length: MINUTE, type: "minute", span: 1 },
  "5m": { label: "5 min", length: 5 * MINUTE, type: "minute", span: 5 },
  "15m": { label: "15 min", length: 15 * MINUTE, type: "minute", span: 15 },
  "1h": { label: "1 hour", length: 60 * MINUTE, type: "hour", span: 1 },
  "1d": { label: "1 day", length: 1440 * MINUTE, type: "day", span: 1 },
});

/** @typedef {keyof typeof INTERVALS} Interval */

/** The API returns a span of at most this many candles. */
const MOST = 1_000;
/** The span of a request without a period, in candles. */
const FIRST = 500;
/** How many candles a chart begins with, if so many exist. */
const ENOUGH = 300;
/** How many spans are read in one go: nights and holidays have no candles. */
const MOST_SPANS = 6;
/** Indian Standard Time is this far ahead of UTC, in milliseconds. Days and hours begin by it. */
const IST = 330 * MINUTE;

/**
 * Return when the candle of a moment begins, as the API counts it.
 * @param {number} moment in ms since 1970
 * @param {Interval} interval
 */
export function beginningOf(moment, interval) {
  const { length } = INTERVALS[interval];
  return moment - ((moment + IST) % length);
}

/** The candles of one symbol and interval. */
export class CandleSource {
  /** @type {Candle | null} */
  #last = null;
  /** The traded volume of the day when the last candle was read. @type {number | null} */
  #dayVolume = null;

  /**
   * @param {string} symbol
   * @param {Interval} interval
   */
  constructor(symbol, interval) {
    this.symbol = symbol;
    this.interval = interval;
  }

  /**
   * Read the newest candles, oldest first, and whether there may be older ones.
   * Throws ApiError.
   */
  async newest() {
    const { length } = INTERVALS[this.interval];
    // Without a period the API ends at its own time, which a recording has left behind.
    const last = await this.#read({});
    const begins = last[0]?.timestamp ?? beginningOf(Date.now() - FIRST * length, this.interval);
    const earlier = await this.#before(begins, ENOUGH - last.length);
    const candles = [...earlier.candles, ...last];
    this.#last = candles.at(-1) ?? null;
    this.#dayVolume = null;
    return { candles, hasOlder: candles.length > 0 };
  }

  /**
   * Read candles from before a moment, oldest first. Throws ApiError.
   * @param {number} moment
   */
  older(moment) {
    return this.#before(moment, 1);
  }

  /**
   * Return the last candle with a new price in it; null for a price that is older.
   * @param {Quote} quote
   * @returns {Candle | null}
   */
  live(quote) {
    const timestamp = beginningOf(Date.parse(quote.timestamp), this.interval);
    const last = this.#last;
    if (last && timestamp < last.timestamp) return null;
    const traded = this.#traded(quote);
    const { price } = quote;
    const isNew = !last || timestamp > last.timestamp;
    this.#last = isNew
      ? { timestamp, open: price, high: price, low: price, close: price }
      : {
          ...last,
          high: Math.max(last.high, price),
          low: Math.min(last.low, price),
          close: price,
        };
    const before = isNew ? 0 : last.volume;
    if (traded !== null && before !== undefined) this.#last.volume = before + traded;
    return this.#last;
  }

  /**
   * Return what was traded since the last price, null if unknown.
   * @param {Quote} quote
   */
  #traded(quote) {
    const before = this.#dayVolume;
    this.#dayVolume = quote.volume ?? null;
    if (before === null || quote.volume == null) return null;
    return Math.max(0, quote.volume - before);
  }

  /**
   * @param {number} end
   * @param {number} wanted
   */
  async #before(end, wanted) {
    const span = MOST * INTERVALS[this.interval].length;
    /** @type {Candle[]} */
    let candles = [];
    let until = end;
    for (let count = 0; count < MOST_SPANS && candles.length < wanted; count += 1) {
      const period = { from: (until - span) / 1_000, to: until / 1_000 };
      candles = [...(await this.#read(period)), ...candles];
      until -= span;
    }
    return { candles, hasOlder: candles.length > 0 };
  }

  /**
   * @param {{from?: number, to?: number}} period in seconds since 1970
   * @returns {Promise<Candle[]>}
   */
  async #read(period) {
    const path = `/market/history/${encodeURIComponent(this.symbol)}`;
    const { candles } = await api.get(path, { interval: this.interval, ...period });
    return candles.map((/** @type {any} */ { time, ...prices }) => ({
      ...prices,
      timestamp: Date.parse(time),
    }));
  }
}
