/**
 * Instruments by symbol, read once each, and the prices of a list of symbols.
 * @module
 */
import * as api from "./api.js";
import { store } from "./store.js";

/** @type {Map<string, Promise<void>>} */
const reading = new Map();

/**
 * Search symbols and names, best match first.
 * @param {string} text
 * @returns {Promise<Instrument[]>}
 */
export async function search(text) {
  const { symbols } = await api.get("/market/symbols", { q: text, limit: 12 });
  keep(symbols);
  return symbols;
}

/**
 * Read the instrument of a symbol into the store, unless it is there.
 * @param {string} symbol
 */
export function readInstrument(symbol) {
  if (store.get("instruments").has(symbol)) return Promise.resolve();
  const task = reading.get(symbol) ?? search(symbol).then(() => void reading.delete(symbol));
  reading.set(symbol, task);
  task.catch(() => reading.delete(symbol));
  return task;
}

/**
 * Return the instrument of a symbol, if the store has it.
 * @param {string} symbol
 */
export function instrument(symbol) {
  return store.get("instruments").get(symbol);
}

/**
 * Show a symbol in chart and ticket.
 * @param {string} symbol
 */
export function choose(symbol) {
  store.set("symbol", symbol);
  void readInstrument(symbol).catch(() => {});
}

/**
 * Open the ticket.
 * @param {string} symbol
 * @param {Side} side
 * @param {Partial<TicketRequest>} [levels]
 */
export function openTicket(symbol, side, levels = {}) {
  choose(symbol);
  store.set("ticket", { side, isOpen: true, ...levels });
  store.set("view", "ticket");
}

/** @param {Instrument[]} found */
function keep(found) {
  const instruments = new Map(store.get("instruments"));
  for (const each of found) instruments.set(each.symbol, each);
  store.set("instruments", instruments);
}
