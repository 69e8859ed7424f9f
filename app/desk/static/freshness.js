/**
 * Whether a price still counts as live, and what to say of its age.
 * @module
 */
import { age, moment, sourceName } from "./format.js";
import { store } from "./store.js";

/** A price this much older than now is greyed, in milliseconds. */
const STALE_AFTER = 60_000;

/**
 * Return whether a price may be out of date: old, or of a connection that was lost.
 * @param {Quote | undefined} quote
 */
export function isStale(quote) {
  if (!quote) return false;
  return store.get("connection") === "lost" || Date.now() - quote.madeAt > STALE_AFTER;
}

/**
 * Describe where a price comes from and how old it is: "simulated, 10:15:04 IST, 3 s ago".
 * @param {Quote | undefined} quote
 */
export function origin(quote) {
  if (!quote) return "No price yet";
  const seconds = (Date.now() - quote.madeAt) / 1_000;
  return `${sourceName(quote.source)}, ${moment(quote.timestamp)} IST, ${age(seconds)} ago`;
}
