/**
 * Light or dark: as the system says, unless the user chose one.
 * @module
 */
import { store } from "./store.js";

const KEY = "desk.theme";
/** @type {DeskState["theme"][]} */
const THEMES = ["system", "light", "dark"];

/** Apply the theme that the user chose on this browser. */
export function restoreTheme() {
  apply(THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? "system");
}

/** Choose the next theme: system, light, dark. */
export function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(store.get("theme")) + 1) % THEMES.length];
  localStorage.setItem(KEY, theme);
  apply(theme);
}

/** When the dark theme holds. */
const MEDIA = { system: "(prefers-color-scheme: dark)", light: "not all", dark: "all" };

/** @param {DeskState["theme"]} theme */
function apply(theme) {
  const dark = /** @type {HTMLLinkElement} */ (document.getElementById("theme-dark"));
  dark.media = MEDIA[theme];
  store.set("theme", theme);
}
