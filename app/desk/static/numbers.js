/**
 * Large numbers as people in India write them.
 * @module
 */
import { price, whole } from "./format.js";

const LAKH = 100_000;
export const CRORE = 10_000_000;

/**
 * Write a number in a narrow place: 12.50 L for lakh, 1.20 Cr for crore.
 * @param {number} value
 */
export function short(value) {
  if (Math.abs(value) >= CRORE) return `${price(value / CRORE)} Cr`;
  if (Math.abs(value) >= LAKH) return `${price(value / LAKH)} L`;
  return Number.isInteger(value) ? whole(value) : String(value);
}
