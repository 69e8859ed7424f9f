/**
 * The user's watchlists: which symbols, in which order. Kept in this browser.
 * @module
 */
import { store } from "./store.js";

const KEY = "desk.watchlists";
const FIRST = {
  id: "first",
  name: "My list",
  symbols: [
    "^NSEI",
    "^BSESN",
    "^NSEBANK",
    "RELIANCE.NS",
    "TCS.NS",
    "HDFCBANK.NS",
    "INFY.NS",
    "ICICIBANK.NS",
    "SBIN.NS",
    "ITC.NS",
  ],
};

/** Read the user's lists into the store. */
export function readLists() {
  const kept = localStorage.getItem(KEY);
  /** @type {WatchList[]} */
  const lists = kept ? JSON.parse(kept) : [FIRST];
  store.set("lists", lists);
  store.set("listId", lists[0]?.id ?? null);
}

/** Return the list that is shown. */
export function shownList() {
  return store.get("lists").find((list) => list.id === store.get("listId"));
}

/**
 * Replace the symbols of the list that is shown.
 * @param {string[]} symbols
 */
export function setSymbols(symbols) {
  const id = store.get("listId");
  const lists = store.get("lists").map((list) => (list.id === id ? { ...list, symbols } : list));
  store.set("lists", lists);
  localStorage.setItem(KEY, JSON.stringify(lists));
}

/**
 * Add a symbol at the end of the list that is shown.
 * @param {string} symbol
 */
export function addSymbol(symbol) {
  const symbols = shownList()?.symbols ?? [];
  if (!symbols.includes(symbol)) setSymbols([...symbols, symbol]);
}

/**
 * Move a symbol of the list that is shown to another place.
 * @param {string} symbol
 * @param {number} place
 */
export function moveSymbol(symbol, place) {
  const others = (shownList()?.symbols ?? []).filter((each) => each !== symbol);
  setSymbols([...others.slice(0, place), symbol, ...others.slice(place)]);
}
