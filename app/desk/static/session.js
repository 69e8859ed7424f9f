/**
 * The tokens of the signed-in user, and signing in and out.
 *
 * The refresh token is kept for all tabs, the access token for this tab, so that a reload needs no
 * request. docs/decisions.md says why they are not in a cookie.
 * @module
 */

const USER_KEY = "desk.user";
const ACCESS_KEY = "desk.access";
const VISIT_KEY = "desk.visit";

/** @typedef {{clientId: string, refreshToken: string}} KeptUser */
/** @typedef {{lists: WatchList[], instruments: Instrument[]}} Visit */
/** @typedef {{access_token: string, refresh_token: string, client_id: string}} Tokens */

/**
 * Return the user who is signed in on this browser, null if signed out.
 * @returns {KeptUser | null}
 */
export function keptUser() {
  return read(localStorage, USER_KEY);
}

/** Return the access token of this tab, null without one of the user who is signed in now. */
export function accessToken() {
  const kept = read(sessionStorage, ACCESS_KEY);
  return kept?.clientId === keptUser()?.clientId ? (kept?.token ?? null) : null;
}

/**
 * Keep the tokens of a response of the API.
 * @param {Tokens} tokens
 */
export function keepTokens(tokens) {
  const { access_token: token, refresh_token: refreshToken, client_id: clientId } = tokens;
  localStorage.setItem(USER_KEY, JSON.stringify({ clientId, refreshToken }));
  sessionStorage.setItem(ACCESS_KEY, JSON.stringify({ clientId, token }));
}

/** Remove the tokens from this browser, and what was kept for the next visit. */
export function forgetTokens() {
  localStorage.removeItem(USER_KEY);
  localStorage.removeItem(VISIT_KEY);
  sessionStorage.removeItem(ACCESS_KEY);
}

/**
 * Keep what the next visit of the signed-in user begins with, until the server has answered.
 * @param {Visit} visit
 */
export function keepVisit(visit) {
  const clientId = keptUser()?.clientId;
  localStorage.setItem(VISIT_KEY, JSON.stringify({ clientId, ...visit }));
}

/**
 * Return what the last visit of the signed-in user on this browser kept.
 * @returns {Visit}
 */
export function lastVisit() {
  const visit = read(localStorage, VISIT_KEY);
  return visit && visit.clientId === keptUser()?.clientId ? visit : { lists: [], instruments: [] };
}

/**
 * Remove everything from this browser that names a user.
 * @param {string} clientId
 */
export function forgetTraces(clientId) {
  for (const key of Object.keys(localStorage)) {
    if (key.includes(clientId)) localStorage.removeItem(key);
  }
}

/** Remove the access token of this tab: it is no longer valid. */
export function forgetAccessToken() {
  sessionStorage.removeItem(ACCESS_KEY);
}

/**
 * Call `notify` if another tab signs in or out.
 * @param {() => void} notify
 */
export function onUserChange(notify) {
  addEventListener("storage", (event) => {
    if (event.key !== USER_KEY && event.key !== null) return;
    const before = parse(event.oldValue);
    if (before?.clientId !== keptUser()?.clientId) notify();
  });
}

/**
 * @param {Storage} storage
 * @param {string} key
 */
function read(storage, key) {
  return parse(storage.getItem(key));
}

/** @param {string | null} text */
function parse(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
