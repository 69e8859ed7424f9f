/**
 * The lines of the levels in the chart's canvas, and where they are on the screen.
 * @module
 */
import { arrange } from "./chart-levels.js";

/** @typedef {import("./chart-levels.js").Level} Level */
/** @typedef {{onMove: (id: string, price: number) => void, onDrop: (id: string, price: number) => void, handles: () => Iterable<Element>}} LineEvents */

const NAME = "desk-level";
const PANE = "candle_pane";
/** The colour of each kind of line, among the variables of the theme. */
export const COLOURS = {
  entry: "accent",
  stop: "down",
  target: "up",
  order: "accent",
  alert: "warn",
};

/**
 * Define the kind of line that the levels are.
 * @param {typeof import("klinecharts")} library
 */
export function defineLines(library) {
  library.registerOverlay({
    name: NAME,
    totalStep: 2,
    needDefaultPointFigure: false,
    needDefaultXAxisFigure: false,
    needDefaultYAxisFigure: true,
    createPointFigures: ({ coordinates, bounding, overlay }) => {
      const [{ y }] = coordinates;
      const { colour, onDrawn } = /** @type {any} */ (overlay.extendData);
      onDrawn(overlay.id, y);
      const ends = [
        { x: 0, y },
        { x: bounding.width, y },
      ];
      const styles = { color: colour, style: "dashed", dashedValue: [4, 3] };
      return [{ type: "line", attrs: { coordinates: ends }, styles }];
    },
  });
}

export class ChartLines {
  /** @type {Set<string>} */
  #shown = new Set();
  /** The height of each line, by the id of its level. @type {Map<string, number>} */
  #heights = new Map();
  #arranging = 0;

  /**
   * @param {import("klinecharts").Chart} chart
   * @param {LineEvents} events
   */
  constructor(chart, events) {
    this.chart = chart;
    this.events = events;
  }

  /**
   * Draw exactly these levels.
   * @param {Level[]} levels
   * @param {(name: string) => string} colourOf returns the colour of a variable of the theme
   */
  show(levels, colourOf) {
    const ids = new Set(levels.map(({ id }) => id));
    for (const id of this.#shown) if (!ids.has(id)) this.chart.removeOverlay({ id });
    for (const level of levels) this.#draw(level, colourOf(COLOURS[level.kind]));
    this.#shown = ids;
  }

  /**
   * Move the line of a level, without changing the level.
   * @param {string} id
   * @param {number} price
   */
  move(id, price) {
    this.chart.overrideOverlay({ id, points: [{ value: price }] });
  }

  /**
   * Return the price at a height of the price pane, in pixels from its top.
   * @param {number} y
   */
  priceAt(y) {
    const point = this.chart.convertFromPixel([{ y }], { paneId: PANE });
    return (Array.isArray(point) ? point[0] : point).value ?? null;
  }

  /** Return the height of the price pane in pixels. */
  height() {
    return this.chart.getSize(PANE, "main")?.height ?? 0;
  }

  /**
   * Put the handles beside their lines, once all of them are drawn.
   * @param {string} id
   * @param {number} y
   */
  #place(id, y) {
    this.#heights.set(id, y);
    if (this.#arranging) return;
    this.#arranging = requestAnimationFrame(() => {
      this.#arranging = 0;
      const handles = /** @type {Iterable<HTMLElement>} */ (this.events.handles());
      arrange(handles, this.#heights, this.height());
    });
  }

  /**
   * @param {Level} level
   * @param {string} colour
   */
  #draw({ id, price, field }, colour) {
    const { onMove, onDrop } = this.events;
    const onDrawn = (/** @type {string} */ drawn, /** @type {number} */ y) => this.#place(drawn, y);
    const common = { id, lock: !field, extendData: { colour, onDrawn } };
    const text = { backgroundColor: colour, borderColor: colour };
    const styles = { text };
    if (this.#shown.has(id)) {
      this.chart.overrideOverlay({ ...common, styles, points: [{ value: price }] });
      return;
    }
    /** @param {import("klinecharts").OverlayEvent<unknown>} event */
    const priceOf = (event) => event.overlay.points[0]?.value ?? price;
    this.chart.createOverlay({
      ...common,
      ...{ name: NAME, paneId: PANE, styles, points: [{ value: price }] },
      onPressedMoving: (event) => onMove(id, priceOf(event)),
      onPressedMoveEnd: (event) => onDrop(id, priceOf(event)),
      onRightClick: (event) => event.preventDefault?.(),
    });
  }
}
