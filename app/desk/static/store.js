/**
 * The state of the desk. Elements watch keys of it; modules that talk to the server change it.
 * @module
 */

/** How often new prices are shown, in milliseconds: more often than people read them. */
const PRICE_GAP = 100;
/** The same for a page in the background. */
const HIDDEN_GAP = 1_000;

/** @returns {DeskState} */
function initialState() {
  return {
    user: null,
    connection: "connecting",
    connectionSince: Date.now(),
    market: null,
    portfolio: null,
    portfolioName: "default",
    trades: new Map(),
    instruments: new Map(),
    alerts: [],
    unread: 0,
    lists: [],
    listId: null,
    symbol: "^NSEI",
    ticket: { side: "BUY", isOpen: false },
    tab: "trades",
    view: "watch",
    theme: "system",
    clock: null,
  };
}

class Store {
  #state = initialState();
  /** @type {Map<string, Quote>} */
  #quotes = new Map();
  /** @type {Map<string, Set<() => void>>} */
  #watchers = new Map();
  /** @type {Set<string>} */
  #changed = new Set();
  #isScheduled = false;
  #flushedAt = 0;
  /** Events that are no state: "trade-event" and "toast". */
  events = new EventTarget();

  /**
   * @template {keyof DeskState} K
   * @param {K} key
   * @returns {DeskState[K]}
   */
  get(key) {
    return this.#state[key];
  }

  /**
   * @template {keyof DeskState} K
   * @param {K} key
   * @param {DeskState[K]} value
   */
  set(key, value) {
    if (Object.is(this.#state[key], value)) return;
    this.#state[key] = value;
    this.touch(key);
  }

  /**
   * Tell the watchers of a key that its value changed in place.
   * @param {keyof DeskState} key
   */
  touch(key) {
    for (const notify of this.#watchers.get(key) ?? []) notify();
  }

  /**
   * Return the last known price of a symbol.
   * @param {string} symbol
   */
  quote(symbol) {
    return this.#quotes.get(symbol);
  }

  /**
   * Take over a newer price. Its watchers learn of it soon, with others, under `quote:<symbol>`.
   * @param {Partial<Quote> & {symbol: string}} update
   */
  setQuote(update) {
    const last = this.#quotes.get(update.symbol);
    if (last && update.timestamp && last.timestamp > update.timestamp) return;
    // The clocks of the server and of this machine may differ, so the age counts, not the time.
    // A recording is as old as the day it was made: its prices count from their arrival.
    const age = update.source === "replay" ? 0 : (update.age ?? 0);
    const madeAt = Date.now() - age * 1_000;
    const merged = /** @type {Quote} */ ({ ...last, ...update, madeAt });
    merged.direction = last ? Math.sign(merged.price - last.price) : 0;
    this.#quotes.set(update.symbol, merged);
    this.#changed.add(`quote:${update.symbol}`);
    this.#schedule();
  }

  /**
   * Take over the newer prices of a pass.
   * @param {(Partial<Quote> & {symbol: string})[]} updates
   */
  setQuotes(updates) {
    for (const update of updates) this.setQuote(update);
  }

  /**
   * Call `notify` at each change of a key; return a function that ends this.
   * @param {string} key
   * @param {() => void} notify
   */
  watch(key, notify) {
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(notify));
    return () => {
      watchers.delete(notify);
    };
  }

  /**
   * Send an event to the listeners of `store.events`.
   * @param {"trade-event" | "toast"} name
   * @param {unknown} detail
   */
  emit(name, detail) {
    this.events.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Forget everything about the user who signed out. */
  forgetUser() {
    const last = this.#state;
    const { theme, connection, connectionSince, market } = last;
    this.#state = { ...initialState(), theme, connection, connectionSince, market };
    for (const key of /** @type {(keyof DeskState)[]} */ (Object.keys(last))) {
      // A session may end twice, here and by the server: the second time no user is forgotten.
      if (!Object.is(last[key], this.#state[key])) this.touch(key);
    }
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const gap = document.hidden ? HIDDEN_GAP : PRICE_GAP;
    const wait = this.#flushedAt + gap - performance.now();
    setTimeout(() => this.#flush(), Math.max(0, wait));
  }

  #flush() {
    this.#isScheduled = false;
    this.#flushedAt = performance.now();
    const changed = [...this.#changed, "quotes"];
    this.#changed.clear();
    for (const key of changed) {
      for (const notify of this.#watchers.get(key) ?? []) notify();
    }
  }
}

/** The one store of the page. */
export const store = new Store();
