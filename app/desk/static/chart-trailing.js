/**
 * Where trailing stops are between two reads of their trades.
 * @module
 */

/**
 * Return the stop that a price sets, if it is tighter than the last one by the step of the trade.
 * @param {Trade} trade
 * @param {number} last the stop so far
 * @param {number} price
 */
export function followed(trade, last, price) {
  const sign = trade.trade_type === "BUY" ? 1 : -1;
  const distance = trade.trailing_offset ?? (price * (trade.trailing_pct ?? 0)) / 100;
  const stop = price - sign * distance;
  const gain = (stop - last) * sign;
  return gain > 0 && gain >= (trade.trailing_step ?? 0) ? stop : last;
}

/** The stops of the trades that a chart shows. The API's own value wins when a trade is read. */
export class TrailingStops {
  /** @type {Map<string, {trade: Trade, stop: number}>} */
  #stops = new Map();

  /**
   * Return the trades with their trailing stops moved by a price.
   * @param {Iterable<Trade>} trades
   * @param {number | undefined} price
   */
  moved(trades, price) {
    /** @type {Map<string, {trade: Trade, stop: number}>} */
    const stops = new Map();
    const shown = [...trades].map((trade) => {
      if (trade.trailing_stop == null) return trade;
      const before = this.#stops.get(trade.trade_id);
      const last = before?.trade === trade ? before.stop : trade.trailing_stop;
      const stop = price === undefined ? last : followed(trade, last, price);
      stops.set(trade.trade_id, { trade, stop });
      return { ...trade, trailing_stop: stop };
    });
    this.#stops = stops;
    return shown;
  }

  /** Whether any trade has a stop that moves with the price. */
  get isMoving() {
    return this.#stops.size > 0;
  }
}
