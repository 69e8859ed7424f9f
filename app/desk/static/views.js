/**
 * Which tab the desk shows, and which view a phone shows.
 * @module
 */
import { store } from "./store.js";

/**
 * Show a tab; on a phone, the view that it is in.
 * @param {Tab} tab
 */
export function showTab(tab) {
  store.set("tab", tab);
  store.set("view", tab === "account" ? "account" : "trades");
}

/**
 * Show a view of a phone.
 * @param {View} view
 */
export function showView(view) {
  store.set("view", view);
  if (view === "account") store.set("tab", "account");
  else if (store.get("tab") === "account") store.set("tab", "trades");
}
