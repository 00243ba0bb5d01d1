// Requests to the server, with the token of this tab.

const KEY = 'mmstats-token';

/** An answer of the server that is an error, or none. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 if there was no answer
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Takes the token out of the address, before anything else sees it. */
export function takeToken() {
  const match = /^#token=([^&]*)&?(.*)$/s.exec(location.hash);
  if (!match) return;
  setToken(decodeURIComponent(match[1] ?? ''));
  const rest = match[2] ? `#${match[2]}` : '#/';
  history.replaceState(null, '', location.pathname + rest);
}

/** @param {string} token */
export function setToken(token) {
  sessionStorage.setItem(KEY, token.trim());
}

/** @returns {Record<string, string>} */
function headers() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** @typedef {[string, string | number][]} Parameters */

/**
 * @param {string} path
 * @param {Parameters} parameters
 */
function address(path, parameters) {
  const query = parameters.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&');
  return `/api/1/${path}${query ? `?${query}` : ''}`;
}

/**
 * @param {string} path
 * @param {Parameters} parameters
 * @param {AbortSignal} signal
 * @returns {Promise<Response>}
 */
export async function open(path, parameters, signal) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(address(path, parameters), { headers: headers(), signal, cache: 'no-store' });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError('the server does not answer', 0);
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  const text = typeof body?.error === 'string' ? body.error : `answer ${response.status}`;
  throw new ApiError(text, response.status);
}

/**
 * @template T
 * @param {string} path below /api/1/
 * @param {Parameters} [parameters]
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function get(path, parameters = [], signal = new AbortController().signal) {
  const response = await open(path, parameters, signal);
  return response.json();
}
