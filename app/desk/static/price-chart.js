/**
 * The chart of the chosen symbol: candles, indicators, and the user's levels to drag.
 * @module
 */
import { readAlerts } from "./alerts.js";
import { CandleSource, INTERVALS } from "./chart-candles.js";
import { loaderOf } from "./chart-loader.js";
import { moveLevel, removeLevel } from "./chart-changes.js";
import { showIndicators } from "./chart-indicators.js";
import "./chart-level.js";
import "./chart-menu.js";
import { levelsOf, onTick } from "./chart-levels.js";
import { applyTheme, loadLibrary, makeChart } from "./chart-library.js";
import { ChartLines, defineLines } from "./chart-lines.js";
import { keepSettings, settingsOf } from "./chart-settings.js";
import { style } from "./chart-style.js";
import "./chart-toolbar.js";
import { TrailingStops } from "./chart-trailing.js";
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
  #trailing = new TrailingStops();
  #redraw = 0;
  /** The theme whose colours the chart has. */
  #theme = "";
  #hasVolume = false;
  /** Without candles the scale has no prices to drag to. */
  #isLoading = true;
  #wasLost = false;
  /** What is shown instead of candles. */
  message = "";
  /** @type {import("./chart-menu.js").Place | null} */
  menu = null;
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
      <div class="area" @contextmenu=${(/** @type {MouseEvent} */ event) => this.#openMenu(event)}>
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
        <chart-menu .place=${this.menu} @close=${() => this.change({ menu: null })}></chart-menu>
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
    chart.setDataLoader(
      loaderOf(source, {
        isCurrent: () => this.#source === source,
        onBegin: (candles) => this.#begin(candles),
        onFault: (message) => this.change({ message }),
        onPush: (push) => (this.#push = push),
      }),
    );
    chart.setSymbol({ ticker: symbol, pricePrecision: 2, volumePrecision: 0 });
    chart.setPeriod({ type, span });
    this.#watchPrice();
  }

  /** @param {import("klinecharts").KLineData[]} candles */
  #begin(candles) {
    this.#hasVolume = candles.some(({ volume }) => volume);
    this.#showIndicators();
    this.#isLoading = candles.length === 0;
    this.change({ message: candles.length ? "" : "There are no candles yet." });
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
    if (this.#trailing.isMoving) this.requestUpdate();
  }

  #levels() {
    const symbol = store.get("symbol");
    const own = [...store.get("trades").values()].filter((trade) => trade.symbol === symbol);
    const trades = this.#trailing.moved(own, store.quote(symbol)?.price);
    return levelsOf(symbol, trades, store.get("alerts"));
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

  /** @param {MouseEvent} event */
  #openMenu(event) {
    event.preventDefault();
    const area = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    const at = this.#isLoading ? null : this.#lines?.priceAt(y);
    if (at != null) this.change({ menu: { x, y, at: onTick(at, this.#tick()) } });
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
