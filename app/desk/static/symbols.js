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
  keepInstruments(symbols);
  return symbols;
}

/**
 * Read the instrument of a symbol into the store, once for each page.
 * @param {string} symbol
 */
export function readInstrument(symbol) {
  const task = reading.get(symbol) ?? search(symbol).then(() => {});
  reading.set(symbol, task);
  task.catch(() => reading.delete(symbol));
  return task;
}

/**
 * Read those instruments that the store lacks, one after the other: a name is not urgent.
 * Throws ApiError.
 * @param {string[]} symbols
 */
export async function readMissing(symbols) {
  for (const symbol of symbols) {
    if (!instrument(symbol)) await readInstrument(symbol);
  }
}

/**
 * Take over instruments into the store.
 * @param {Instrument[]} found
 */
export function keepInstruments(found) {
  const instruments = new Map(store.get("instruments"));
  for (const each of found) instruments.set(each.symbol, each);
  store.set("instruments", instruments);
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
