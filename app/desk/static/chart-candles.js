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
    const read = await this.#before(beginningOf(Date.now(), this.interval) + length, ENOUGH);
    this.#last = read.candles.at(-1) ?? null;
    this.#dayVolume = null;
    return read;
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
      candles = [...(await this.#read(until - span, until)), ...candles];
      until -= span;
    }
    return { candles, hasOlder: candles.length > 0 };
  }

  /**
   * @param {number} from
   * @param {number} to
   * @returns {Promise<Candle[]>}
   */
  async #read(from, to) {
    const parameters = { interval: this.interval, from: from / 1_000, to: to / 1_000 };
    const path = `/market/history/${encodeURIComponent(this.symbol)}`;
    const { candles } = await api.get(path, parameters);
    return candles.map((/** @type {any} */ { time, ...prices }) => ({
      ...prices,
      timestamp: Date.parse(time),
    }));
  }
}
