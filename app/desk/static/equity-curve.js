/**
 * The equity curve and the drawdown below it.
 * @module
 */
import uPlot from "/desk/vendor/uplot/dist/uPlot.esm.js";
import { css, DeskElement, html, shared } from "./element.js";
import { percent, rupees, whole } from "./format.js";
import { CRORE, short } from "./numbers.js";
import { store } from "./store.js";

/** @typedef {import("./account-data.js").EquityPoint} EquityPoint */

const CURVE_HEIGHT = 210;
const DRAWDOWN_HEIGHT = 96;
const ZONE = "Asia/Kolkata";
const AXIS_WIDTH = 76;
const DAY_SECONDS = 86_400;
/** How often the last point moves with the prices, in milliseconds. */
const MOVE_DELAY = 1_000;
const TIME = new Intl.DateTimeFormat("en-IN", {
  ...{ timeZone: ZONE, hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
});
const SECOND = new Intl.DateTimeFormat("en-IN", {
  ...{ timeZone: ZONE, minute: "2-digit", second: "2-digit" },
});
const DAY = new Intl.DateTimeFormat("en-IN", { timeZone: ZONE, day: "numeric", month: "short" });

/**
 * Return times in seconds, the equity, and its fall from the highest point so far in per cent.
 * Deposits and withdrawals are no profit or loss. Where a price is not known the balance counts.
 * @param {EquityPoint[]} points
 */
export function curves(points) {
  let highest = -Infinity;
  const times = points.map(({ time }) => Date.parse(time) / 1_000);
  const equity = points.map((point) => point.equity ?? point.balance);
  const drawdown = points.map((point, place) => {
    const own = equity[place] - point.net_deposits;
    highest = Math.max(highest, own);
    return highest > 0 ? (own / highest - 1) * 100 : 0;
  });
  return { times, equity, drawdown };
}

/**
 * Return the points with one more for this moment.
 * @param {EquityPoint[]} points
 * @param {number | null} equity in rupees at the latest prices, null if it is not known
 */
export function upToNow(points, equity) {
  const last = points.at(-1);
  const now = new Date().toISOString();
  return !last || equity === null || last.time >= now
    ? points
    : [...points, { ...last, time: now, equity }];
}

export class EquityCurve extends DeskElement {
  static properties = { points: { attribute: false }, equity: { attribute: false } };
  static watches = ["theme"];
  static styles = [
    shared,
    css`
      .plot {
        min-width: 0;
        overflow: hidden;
      }
      .u-legend {
        padding-inline-start: 76px;
        font: inherit;
        font-size: var(--size-s);
        text-align: start;
      }
      .u-legend :is(th, td) {
        position: static;
        height: auto;
        padding: 0 4px 0 0;
        border: 0;
        background: none;
        color: var(--muted);
        font-weight: 400;
      }
      .u-legend tr:hover {
        background: none;
      }
      .u-legend .u-marker {
        display: none;
      }
    `,
  ];

  /** @type {uPlot[]} */
  #plots = [];
  #timer = 0;
  /** The theme in which the curve is drawn. */
  #theme = "";
  #sizes = new ResizeObserver(() => this.#resize());

  constructor() {
    super();
    /** @type {EquityPoint[]} */
    this.points = [];
    /** Rupees at the latest prices, the last point. @type {number | null} */
    this.equity = null;
  }

  connectedCallback() {
    super.connectedCallback();
    this.#sizes.observe(this);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#sizes.disconnect();
    clearTimeout(this.#timer);
    this.#clear();
  }

  render() {
    const { equity, drawdown } = curves(upToNow(this.points, this.equity));
    const worst = Math.min(0, ...drawdown);
    const label = equity.length
      ? `Equity from ${rupees(equity[0])} to ${rupees(equity.at(-1))}, largest fall ${percent(worst)}`
      : "Equity curve";
    return html`
      <link rel="stylesheet" href="/desk/vendor/uplot/dist/uPlot.min.css" />
      <div class="plots" role="img" aria-label=${label}>
        <div class="plot curve"></div>
        <div class="plot drawdown"></div>
      </div>
    `;
  }

  /** @param {import("/desk/vendor/@lit/reactive-element/reactive-element.js").PropertyValues} changed */
  updated(changed) {
    const isDrawn = this.#plots.length > 0 && this.#theme === store.get("theme");
    if (!isDrawn || changed.has("points")) this.#draw();
    else if (changed.has("equity")) this.#timer ||= setTimeout(() => this.#move(), MOVE_DELAY);
  }

  /** Move the last point to where the prices are. */
  #move() {
    this.#timer = 0;
    const { times, equity, drawdown } = curves(upToNow(this.points, this.equity));
    const [curve, below] = this.#plots;
    curve?.setData([times, equity]);
    below?.setData([times, drawdown]);
  }

  #draw() {
    this.#clear();
    this.#theme = store.get("theme");
    const points = upToNow(this.points, this.equity);
    if (points.length < 2) return;
    const { times, equity, drawdown } = curves(points);
    const sync = uPlot.sync("equity");
    const [up, down] = [this.#colour("accent"), this.#colour("down")];
    this.#plot(".curve", [times, equity], {
      ...{ height: CURVE_HEIGHT, label: "Equity", colour: up, value: rupees, sync: sync.key },
      write: (/** @type {number} */ amount) => `₹${amount < CRORE ? whole(amount) : short(amount)}`,
    });
    this.#plot(".drawdown", [times, drawdown], {
      ...{ height: DRAWDOWN_HEIGHT, label: "Drawdown", colour: down, value: percent },
      ...{ sync: sync.key, write: (/** @type {number} */ amount) => `${amount}%` },
    });
  }

  /**
   * @param {string} place
   * @param {uPlot.AlignedData} data
   * @param {{height: number, label: string, colour: string, value: (amount: number) => string, write: (amount: number) => string, sync: string}} look
   */
  #plot(place, data, { height, label, colour, value, write, sync }) {
    const parent = /** @type {HTMLElement} */ (this.renderRoot.querySelector(place));
    const axis = {
      stroke: this.#colour("muted"),
      font: `11px ${getComputedStyle(this).fontFamily}`,
      grid: { stroke: this.#colour("line"), width: 1 },
      ticks: { show: false },
    };
    this.#plots.push(
      new uPlot(
        {
          ...{ width: this.clientWidth, height },
          tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), ZONE),
          cursor: { sync: { key: sync }, y: false, drag: { x: false, y: false } },
          legend: { live: true },
          series: [
            { label: "At", value: (_plot, seconds) => (seconds == null ? "" : written(seconds)) },
            {
              ...{ label, stroke: colour, width: 1.5, fill: `${colour}1a` },
              value: (_plot, amount) => (amount == null ? "" : value(amount)),
            },
          ],
          axes: [
            {
              ...axis,
              values: (_plot, splits, _axis, _space, step) =>
                splits.map((at) => scaleOf(step).format(at * 1_000)),
            },
            { ...axis, size: AXIS_WIDTH, values: (_plot, splits) => splits.map(write) },
          ],
        },
        data,
        parent,
      ),
    );
  }

  #clear() {
    for (const plot of this.#plots) plot.destroy();
    this.#plots = [];
  }

  #resize() {
    for (const plot of this.#plots) {
      if (plot.width !== this.clientWidth) {
        plot.setSize({ width: this.clientWidth, height: plot.height });
      }
    }
  }

  /** @param {string} name */
  #colour(name) {
    return getComputedStyle(this).getPropertyValue(`--${name}`).trim();
  }
}

/**
 * Return how times are written that are so many seconds apart.
 * @param {number} step
 */
function scaleOf(step) {
  if (step >= DAY_SECONDS) return DAY;
  return step < 60 ? SECOND : TIME;
}

/** @param {number} seconds */
function written(seconds) {
  return `${DAY.format(seconds * 1_000)} ${TIME.format(seconds * 1_000)} IST`;
}

customElements.define("equity-curve", EquityCurve);
