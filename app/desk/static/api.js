/**
 * Requests to the REST API. Errors are `ApiError`, with the words of the API.
 * @module
 */
import { accessToken, forgetAccessToken, forgetTokens, keepTokens, keptUser } from "./session.js";

/** How long a request may take, in milliseconds. */
const TIMEOUT = 20_000;
const OFFLINE = "The server cannot be reached. The desk tries again by itself.";

/** A response that is no success. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 if there was no response
   * @param {{error: string, code: string, details?: Record<string, any>}} body
   */
  constructor(status, body) {
    super(body.error);
    this.status = status;
    this.code = body.code;
    /** What is wrong with each field, by its name. @type {Record<string, any>} */
    this.details = body.details ?? {};
  }
}

/** @type {() => void} */
let onSignedOut = () => {};

/**
 * Set what to do once the session has ended and cannot be renewed.
 * @param {() => void} notify
 */
export function whenSignedOut(notify) {
  onSignedOut = notify;
}

/**
 * Get a resource. Parameters that are null or undefined are left out.
 * @param {string} path
 * @param {Record<string, unknown>} [parameters]
 * @returns {Promise<any>}
 */
export function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value != null && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return request("GET", query ? `${path}?${query}` : path);
}

/**
 * Post a body. A `key` makes a repetition safe: the API executes one request per key.
 * @param {string} path
 * @param {object} [body]
 * @param {{key?: string}} [options]
 * @returns {Promise<any>}
 */
export function post(path, body = {}, { key } = {}) {
  return request("POST", path, body, key);
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
export function patch(path, body) {
  return request("PATCH", path, body);
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
export function put(path, body) {
  return request("PUT", path, body);
}

/**
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
export function del(path, body) {
  return request("DELETE", path, body);
}

/**
 * Get a file, such as an export, with the token of the user, and have the browser keep it.
 * @param {string} path
 * @param {string} name of the file
 */
export async function download(path, name) {
  const file = await (await authorized("GET", path)).blob();
  const href = URL.createObjectURL(file);
  Object.assign(document.createElement("a"), { href, download: name }).click();
  URL.revokeObjectURL(href);
}

/** Return a new idempotency key. Plain HTTP has no `crypto.randomUUID`. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Exchange the refresh token for new tokens, one tab at a time.
 * Throws ApiError; with status 401 the session has ended and the tokens are gone.
 */
export async function renewTokens() {
  const before = accessToken();
  const renew = async () => {
    const user = keptUser();
    // Signed out by another tab meanwhile.
    if (!user) throw new ApiError(401, { error: "You are signed out.", code: "token_missing" });
    if (accessToken() !== before) return;
    const body = { refresh_token: user.refreshToken };
    const tokens = await parse(await send("POST", "/auth/refresh", body));
    // A tab may have signed another user in while this one waited.
    if (keptUser()?.clientId === tokens.client_id) keepTokens(tokens);
  };
  try {
    // Only over https, or on this machine. Without it the API forgives two exchanges at once.
    await (navigator.locks ? navigator.locks.request("desk.refresh", renew) : renew());
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      forgetTokens();
      onSignedOut();
    }
    throw error;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {string} [key]
 */
async function request(method, path, body, key) {
  return (await authorized(method, path, body, key)).json();
}

/**
 * Send a request with the user's token; renew the token once if it is refused.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {string} [key]
 */
async function authorized(method, path, body, key) {
  if (keptUser() && !accessToken()) await renewTokens();
  const response = await send(method, path, body, key);
  if (response.status !== 401 || !accessToken()) return checked(response);
  const error = await errorOf(response);
  if (!["token_expired", "token_revoked", "token_invalid"].includes(error.code)) throw error;
  forgetAccessToken();
  await renewTokens();
  return checked(await send(method, path, body, key));
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {string} [key]
 */
async function send(method, path, body, key) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  const token = accessToken();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  try {
    return await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new ApiError(0, { error: OFFLINE, code: "offline" });
  }
}

/** @param {Response} response */
async function checked(response) {
  if (!response.ok) throw await errorOf(response);
  return response;
}

/** @param {Response} response */
async function parse(response) {
  return (await checked(response)).json();
}

/** @param {Response} response */
async function errorOf(response) {
  try {
    return new ApiError(response.status, await response.json());
  } catch {
    const error = "The server's response cannot be read. Try again shortly.";
    return new ApiError(response.status, { error, code: "unreadable" });
  }
}
