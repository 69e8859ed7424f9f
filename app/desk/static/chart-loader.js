/**
 * How the chart library gets candles from a source.
 * @module
 */
import { ApiError } from "./api.js";
import { INTERVALS } from "./chart-candles.js";

/** @typedef {import("klinecharts").KLineData} Candle */
/**
 * What the chart does with candles.
 * @typedef {object} LoaderEvents
 * @property {() => boolean} isCurrent whether the chart still shows the source
 * @property {(candles: Candle[]) => void} onBegin after the newest candles were read
 * @property {(message: string) => void} onFault after they could not be read
 * @property {(push: ((candle: Candle) => void) | null) => void} onPush with what takes live candles
 */

/**
 * Return the loader of a source.
 * @param {import("./chart-candles.js").CandleSource} source
 * @param {LoaderEvents} events
 * @returns {import("klinecharts").DataLoader}
 */
export function loaderOf(source, events) {
  return {
    getBars: (request) => read(source, request, events),
    subscribeBar: ({ callback }) => {
      if (events.isCurrent()) events.onPush(callback);
    },
    unsubscribeBar: () => events.onPush(null),
  };
}

/**
 * @param {import("./chart-candles.js").CandleSource} source
 * @param {import("klinecharts").DataLoaderGetBarsParams} request
 * @param {LoaderEvents} events
 */
async function read(source, { type, timestamp, symbol, period, callback }, events) {
  const { type: wanted, span } = INTERVALS[source.interval];
  // The library asks after each of the two settings; the first request is out of date.
  const isWanted =
    symbol.ticker === source.symbol && period.type === wanted && period.span === span;
  if (!isWanted || type === "backward") return callback([], false);
  try {
    const found = await (type === "init" ? source.newest() : source.older(timestamp ?? 0));
    if (!events.isCurrent()) return;
    callback(found.candles, { forward: found.hasOlder, backward: false });
    if (type === "init") events.onBegin(found.candles);
  } catch (error) {
    callback([], false);
    if (!(error instanceof ApiError)) throw error;
    events.onFault(error.message);
  }
}
