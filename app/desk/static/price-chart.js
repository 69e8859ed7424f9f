/**
 * The chart of the chosen symbol: candles, indicators, and the user's levels to drag.
 * @module
 */
import { readAlerts } from "./alerts.js";
import { ApiError } from "./api.js";
import { CandleSource, INTERVALS } from "./chart-candles.js";
import { moveLevel, removeLevel } from "./chart-changes.js";
import { showIndicators } from "./chart-indicators.js";
import "./chart-level.js";
import { levelsOf, onTick } from "./chart-levels.js";
import { applyTheme, loadLibrary, makeChart } from "./chart-library.js";
import { ChartLines, defineLines } from "./chart-lines.js";
import { keepSettings, settingsOf } from "./chart-settings.js";
import { style } from "./chart-style.js";
import "./chart-toolbar.js";
import { DeskElement, html, nothing, shared } from "./element.js";
import { shortName } from "./format.js";
import { store } from "./store.js";
import { instrument } from "./symbols.js";

/** Ticks may come faster than a chart with indicators can be drawn, in milliseconds. */
const REDRAW_DELAY = 250;
const DARK = matchMedia("(prefers-color-scheme: dark)");

export class PriceChart extends DeskElement {
  static watches = ["symbol", "trades", "alerts", "theme", "connection", "instruments"];
  static styles = [shared, style];

  /** @type {import("klinecharts").Chart | null} */
  #chart = null;
  /** @type {ChartLines | null} */
  #lines = null;
  /** @type {CandleSource | null} */
  #source = null;
  /** @type {((candle: import("klinecharts").KLineData) => void) | null} */
  #push = null;
  /** @type {{id: string, at: number} | null} */
  #moved = null;
  /** @type {() => void} */
  #unwatch = () => {};
  #redraw = 0;
  /** The theme whose colours the chart has. */
  #theme = "";
  #hasVolume = false;
  /** Without candles the scale has no prices to drag to. */
  #isLoading = true;
  #wasLost = false;
  /** What is shown instead of candles. */
  message = "";
  isWide = false;

  constructor() {
    super();
    this.settings = settingsOf(store.get("symbol"));
  }

  connectedCallback() {
    super.connectedCallback();
    DARK.addEventListener("change", this.#restyle);
    this.addEventListener("keydown", this.#pressed);
    void this.#start();
    void readAlerts().catch(() => {});
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    DARK.removeEventListener("change", this.#restyle);
    this.removeEventListener("keydown", this.#pressed);
    this.#unwatch();
    clearTimeout(this.#redraw);
  }

  render() {
    this.toggleAttribute("wide", this.isWide);
    const levels = this.#levels();
    return html`
      <chart-toolbar
        .settings=${this.settings}
        .isWide=${this.isWide}
        @choose=${(/** @type {CustomEvent} */ event) => this.#choose(event.detail)}
        @wide=${() => this.#toggleWide()}
      ></chart-toolbar>
      <div class="area">
        <div
          class="canvas"
          role="img"
          aria-label=${this.#label()}
          aria-busy=${this.#isLoading ? "true" : "false"}
        ></div>
        <div
          class="levels"
          @level-move=${(/** @type {CustomEvent} */ { detail }) => this.#move(detail)}
          @level-drop=${(/** @type {CustomEvent} */ { detail }) => void this.#drop(detail)}
          @level-remove=${(/** @type {CustomEvent} */ { detail }) => this.#remove(detail.id)}
        >
          ${levels.map((level) => this.#handle(level))}
        </div>
        ${this.message ? html`<p class="empty" role="status">${this.message}</p>` : nothing}
      </div>
    `;
  }

  /** @param {import("./chart-levels.js").Level} level */
  #handle(level) {
    return html`<chart-level
      id=${level.id}
      .level=${level}
      .at=${this.#moved?.id === level.id ? this.#moved.at : null}
      .tick=${this.#tick()}
      .priceAt=${(/** @type {number} */ y) =>
        this.#isLoading ? null : (this.#lines?.priceAt(y) ?? null)}
    ></chart-level>`;
  }

  updated() {
    const symbol = store.get("symbol");
    if (this.#chart && this.#source?.symbol !== symbol) {
      this.settings = settingsOf(symbol);
      this.#show(symbol);
      this.requestUpdate();
    }
    const isLost = store.get("connection") === "lost";
    if (this.#wasLost && !isLost) this.#chart?.resetData();
    this.#wasLost = isLost;
    if (this.#theme !== store.get("theme")) this.#restyle();
    this.#drawLines();
  }

  async #start() {
    if (this.#chart) return this.#watchPrice();
    try {
      const library = await loadLibrary();
      await this.updateComplete;
      const canvas = this.renderRoot.querySelector(".canvas");
      if (this.#chart || !(canvas instanceof HTMLElement)) return;
      defineLines(library);
      this.#chart = makeChart(library, canvas);
    } catch {
      this.change({ message: "The chart library could not be loaded. Reload the page." });
      return;
    }
    const onDrop = (/** @type {string} */ id, /** @type {number} */ at) =>
      void this.#drop({ id, at });
    this.#lines = new ChartLines(this.#chart, {
      onMove: (id, at) => this.#move({ id, at }),
      onDrop,
      handles: () => this.renderRoot.querySelectorAll("chart-level"),
    });
    const chart = this.#chart;
    new ResizeObserver(() => chart.resize()).observe(this);
    this.#show(store.get("symbol"));
    this.requestUpdate();
  }

  /** @param {string} symbol */
  #show(symbol) {
    const chart = this.#chart;
    if (!chart) return;
    const { interval } = this.settings;
    const source = new CandleSource(symbol, interval);
    const { type, span } = INTERVALS[interval];
    this.#source = source;
    this.#isLoading = true;
    this.#moved = null;
    chart.setDataLoader({
      getBars: (request) => void this.#read(source, request),
      subscribeBar: ({ callback }) => {
        if (this.#source === source) this.#push = callback;
      },
      unsubscribeBar: () => (this.#push = null),
    });
    chart.setSymbol({ ticker: symbol, pricePrecision: 2, volumePrecision: 0 });
    chart.setPeriod({ type, span });
    this.#watchPrice();
  }

  /**
   * @param {CandleSource} source
   * @param {import("klinecharts").DataLoaderGetBarsParams} request
   */
  async #read(source, { type, timestamp, symbol, period, callback }) {
    const { type: wanted, span } = INTERVALS[source.interval];
    // The library asks after each of the two settings; the first request is out of date.
    const isCurrent = symbol.ticker === source.symbol && period.type === wanted;
    if (!isCurrent || period.span !== span || type === "backward") return callback([], false);
    try {
      const read = await (type === "init" ? source.newest() : source.older(timestamp ?? 0));
      if (this.#source !== source) return;
      callback(read.candles, { forward: read.hasOlder, backward: false });
      if (type !== "init") return;
      this.#hasVolume = read.candles.some(({ volume }) => volume);
      this.#showIndicators();
      this.#isLoading = read.candles.length === 0;
      this.change({ message: read.candles.length ? "" : "There are no candles yet." });
    } catch (error) {
      callback([], false);
      if (error instanceof ApiError) this.change({ message: error.message });
    }
  }

  #watchPrice() {
    this.#unwatch();
    this.#unwatch = store.watch(`quote:${store.get("symbol")}`, () => {
      this.#redraw ||= setTimeout(() => this.#showPrice(), REDRAW_DELAY);
    });
  }

  #showPrice() {
    this.#redraw = 0;
    const quote = store.quote(this.#source?.symbol ?? "");
    const candle = quote && this.#push && this.#source?.live(quote);
    if (candle) this.#push?.(candle);
  }

  #levels() {
    return levelsOf(store.get("symbol"), store.get("trades").values(), store.get("alerts"));
  }

  #drawLines() {
    if (this.#moved) return;
    const style = getComputedStyle(this);
    this.#lines?.show(this.#levels(), (name) => style.getPropertyValue(`--${name}`).trim());
  }

  /** @param {{id: string, at: number | null}} moved */
  #move({ id, at }) {
    const level = this.#levels().find((each) => each.id === id);
    if (!level) return;
    this.#moved = at === null ? null : { id, at: onTick(at, this.#tick()) };
    this.#lines?.move(id, this.#moved?.at ?? level.price);
    this.requestUpdate();
  }

  /** @param {{id: string, at: number}} dropped */
  async #drop({ id, at }) {
    const level = this.#levels().find((each) => each.id === id);
    if (level) await moveLevel(level, onTick(at, this.#tick()));
    this.#moved = null;
    this.requestUpdate();
  }

  /** @param {string} id */
  #remove(id) {
    const level = this.#levels().find((each) => each.id === id);
    if (level) void removeLevel(level);
  }

  #tick() {
    return instrument(store.get("symbol"))?.tick_size || 0.05;
  }

  /** @param {import("./chart-settings.js").Settings} settings */
  #choose(settings) {
    const hasNewInterval = settings.interval !== this.settings.interval;
    this.settings = settings;
    keepSettings(store.get("symbol"), settings);
    if (hasNewInterval) this.#show(store.get("symbol"));
    else this.#showIndicators();
    this.requestUpdate();
  }

  #showIndicators() {
    if (this.#chart) showIndicators(this.#chart, this.settings.indicators, this.#hasVolume);
  }

  #restyle = () => {
    if (!this.#chart) return;
    this.#theme = store.get("theme");
    applyTheme(this.#chart, this);
    this.#drawLines();
  };

  #pressed = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && this.isWide) this.#toggleWide();
  };

  #toggleWide() {
    this.change({ isWide: !this.isWide });
  }

  #label() {
    const { label } = INTERVALS[this.settings.interval];
    return `Candles of ${shortName(store.get("symbol"))}, ${label} each`;
  }
}

customElements.define("price-chart", PriceChart);
