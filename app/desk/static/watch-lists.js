/**
 * The user's watchlists. A change is shown at once and undone if the server refuses it.
 * @module
 */
import * as api from "./api.js";
import { keepVisit, lastVisit } from "./session.js";
import { store } from "./store.js";
import { keepInstruments } from "./symbols.js";

const CHOSEN_KEY = "desk.watchlist";
const FIRST_NAME = "My list";
const FIRST_SYMBOLS = [
  ...["^NSEI", "^BSESN", "^NSEBANK", "RELIANCE.NS", "TCS.NS", "HDFCBANK.NS", "INFY.NS"],
  ...["ICICIBANK.NS", "SBIN.NS", "ITC.NS", "BHARTIARTL.NS", "LT.NS"],
];

/**
 * Read the user's lists into the store; the first visit makes one. Those of the last visit on this
 * browser are shown until the answer arrives. Throws ApiError.
 */
export async function readLists() {
  const last = lastVisit();
  keepInstruments(last.instruments);
  if (last.lists.length) showLists(last.lists);
  let { watchlists: lists } = await api.get("/watchlists");
  if (!lists.length) {
    lists = [await api.post("/watchlists", { name: FIRST_NAME, symbols: FIRST_SYMBOLS })];
  }
  showLists(lists);
}

/** @param {WatchList[]} lists */
function showLists(lists) {
  keepLists(lists);
  const chosen = localStorage.getItem(CHOSEN_KEY);
  chooseList(find(chosen) ? chosen : lists[0].watchlist_id);
}

/** @param {WatchList[]} lists */
function keepLists(lists) {
  store.set("lists", lists);
  keepForNextVisit();
}

/** Keep the lists and the names in them, so that the next visit shows them at once. */
export function keepForNextVisit() {
  const lists = store.get("lists");
  const listed = new Set(lists.flatMap(({ symbols }) => symbols));
  const known = [...store.get("instruments").values()];
  keepVisit({ lists, instruments: known.filter(({ symbol }) => listed.has(symbol)) });
}

/**
 * Show another list.
 * @param {string | null} id
 */
export function chooseList(id) {
  if (id) localStorage.setItem(CHOSEN_KEY, id);
  store.set("listId", id);
}

/** Return the list that is shown. */
export function shownList() {
  return find(store.get("listId"));
}

/**
 * Make a list and show it. Throws ApiError.
 * @param {string} name
 */
export async function createList(name) {
  const list = await api.post("/watchlists", { name });
  keepLists([...store.get("lists"), list]);
  chooseList(list.watchlist_id);
}

/**
 * Rename the list that is shown. Throws ApiError.
 * @param {string} name
 */
export async function renameList(name) {
  keep(await api.patch(address(), { name }));
}

/** Delete the list that is shown, unless it is the only one. Throws ApiError. */
export async function deleteList() {
  const lists = store.get("lists");
  if (lists.length < 2) return;
  await api.del(address());
  const others = lists.filter((list) => list.watchlist_id !== store.get("listId"));
  keepLists(others);
  chooseList(others[0].watchlist_id);
}

/**
 * Add a symbol to the list that is shown, or move it to a place, from 0.
 * @param {string} symbol
 * @param {number} [place] the last one if left out
 */
export function addSymbol(symbol, place) {
  const shown = shownList()?.symbols ?? [];
  if (place === undefined && shown.includes(symbol)) return Promise.resolve();
  const others = shown.filter((each) => each !== symbol);
  const at = place ?? others.length;
  const symbols = [...others.slice(0, at), symbol, ...others.slice(at)];
  return change(symbols, () => api.post(`${address()}/symbols`, { symbol, position: at + 1 }));
}

/**
 * Remove a symbol from the list that is shown.
 * @param {string} symbol
 */
export function removeSymbol(symbol) {
  const symbols = (shownList()?.symbols ?? []).filter((each) => each !== symbol);
  return change(symbols, () => api.del(`${address()}/symbols/${encodeURIComponent(symbol)}`));
}

/**
 * @param {string[]} symbols
 * @param {() => Promise<WatchList>} send
 */
async function change(symbols, send) {
  const before = shownList();
  if (!before) return;
  keep({ ...before, symbols });
  try {
    keep(await send());
  } catch (error) {
    keep(before);
    store.emit("toast", { kind: "error", text: String(Object(error).message) });
  }
}

/** @param {WatchList} list */
function keep(list) {
  const replaced = (/** @type {WatchList} */ each) =>
    each.watchlist_id === list.watchlist_id ? list : each;
  keepLists(store.get("lists").map(replaced));
}

/** @param {string | null} id */
function find(id) {
  return store.get("lists").find((list) => list.watchlist_id === id);
}

function address() {
  return `/watchlists/${store.get("listId")}`;
}
