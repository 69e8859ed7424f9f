/**
 * Whether the guide of the first trade is shown, kept for each user of this browser: so that the
 * page has it in its place when it is loaded again.
 * @module
 */
import { get } from "./api.js";

const KEY = "desk.guide";
/** The user has never traded. */
export const NEW = "new";
/** The guide is over, or the user has traded before. */
export const DONE = "done";

/**
 * Return NEW, DONE, or the id of the trade that the guide follows; null if it is unknown.
 * @param {string} clientId
 */
export function guideOf(clientId) {
  return localStorage.getItem(`${KEY}.${clientId}`);
}

/**
 * Keep NEW, DONE, or the id of the trade that the guide follows.
 * @param {string} clientId
 * @param {string} state
 */
export function keepGuide(clientId, state) {
  localStorage.setItem(`${KEY}.${clientId}`, state);
}

/**
 * Ask the server whether a user has ever traded. Throws ApiError.
 * @param {string} clientId
 */
export async function hasTraded(clientId) {
  const { trades } = await get(`/trades/${encodeURIComponent(clientId)}`, { limit: 1 });
  return trades.length > 0;
}
