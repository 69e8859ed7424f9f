/**
 * The symbols of which an element receives prices.
 * @module
 */
import { follow } from "./socket.js";

export class FollowedSymbols {
  #names = "";
  /** @type {() => void} */
  #stop = () => {};

  /**
   * Follow these symbols in place of the last ones; return whether they are others.
   * @param {Iterable<string>} symbols
   */
  set(symbols) {
    const names = [...new Set(symbols)];
    if (names.join() === this.#names) return false;
    this.#names = names.join();
    const stop = this.#stop;
    // First, so that symbols of both are not left in between.
    this.#stop = follow(names);
    stop();
    return true;
  }

  /** Follow nothing any more. */
  clear() {
    this.set([]);
  }
}
