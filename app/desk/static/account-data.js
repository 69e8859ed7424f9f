/**
 * What the account panel reads and changes. Each function throws ApiError, in the API's words.
 * @module
 */
import { encode } from "./account.js";
import * as api from "./api.js";
import { store } from "./store.js";

/** @typedef {{time: string, equity: number | null, balance: number, net_deposits: number}} EquityPoint */
/** @typedef {{day: string, pnl: number, closed_trades: number, winning_trades: number}} DayResults */

const PAGE = 50;

/**
 * Read the equity curve.
 * @param {string} period 1D, 1W, 1M, 3M, 6M, 1Y or ALL
 * @returns {Promise<EquityPoint[]>}
 */
export async function readEquity(period) {
  return (await api.get(`/portfolio/${user()}/history`, { ...shown(), period })).points;
}

/**
 * Read the statistics of the season.
 * @returns {Promise<Statistics>}
 */
export function readStatistics() {
  return api.get(`/trades/statistics/${user()}`, shown());
}

/**
 * Read a page of what moved money, newest first.
 * @param {string | null} [cursor]
 * @returns {Promise<{activities: Activity[], next_cursor: string | null}>}
 */
export function readActivities(cursor) {
  return api.get(`/portfolio/${user()}/activities`, { ...shown(), limit: PAGE, cursor });
}

/**
 * Read the user's portfolios, oldest first.
 * @returns {Promise<Portfolio[]>}
 */
export async function readPortfolios() {
  return (await api.get(`/portfolio/${user()}/list`)).portfolios;
}

/**
 * Open a portfolio.
 * @param {string} name
 * @param {number} [margin] rupees it begins with
 */
export function openPortfolio(name, margin) {
  return api.post("/portfolio/create", { name, ...(margin ? { initial_margin: margin } : {}) });
}

/**
 * Set how the next trades of the portfolio that is shown are filled.
 * @param {string} profile
 */
export async function setFillProfile(profile) {
  const body = { ...shown(), fill_profile: profile };
  const portfolio = await api.patch(`/portfolio/${user()}`, body);
  // Another portfolio may have been chosen meanwhile.
  if (portfolio.name === store.get("portfolioName")) store.set("portfolio", portfolio);
}

/**
 * Deposit or withdraw rupees.
 * @param {"deposit" | "withdraw"} kind
 * @param {number | null} amount
 * @returns {Promise<{message: string}>}
 */
export function moveFunds(kind, amount) {
  const body = { amount, portfolio: store.get("portfolioName") };
  return api.post(`/portfolio/${user()}/${kind}`, body, { key: api.newKey() });
}

/**
 * Close everything and begin the next season.
 * @param {number} [margin] rupees it begins with
 * @returns {Promise<{message: string}>}
 */
export function resetPortfolio(margin) {
  const body = {
    portfolio: store.get("portfolioName"),
    ...(margin ? { initial_margin: margin } : {}),
  };
  return api.post(`/portfolio/${user()}/reset`, body, { key: api.newKey() });
}

/** @returns {string} */
function user() {
  return encode(store.get("user")?.clientId ?? "");
}

function shown() {
  return { portfolio: store.get("portfolioName") };
}
