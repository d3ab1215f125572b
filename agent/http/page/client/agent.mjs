/** The agent behind this page: calls, streams, the token. No address ever holds the token. */
import { readEvents } from './events.mjs';

const TOKEN_KEY = 'expertd-token';

/** What the agent refused, in its words. */
export class Refusal extends Error {
  /**
   * @param {number} status 0: nobody answered
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @param {string} token */
export function keepToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/**
 * @param {string} path from the root of the agent, without a slash: the agent may live below a path of a proxy
 * @returns {Promise<unknown>}
 */
export async function get(path) {
  return (await send(path, { method: 'GET' })).json();
}

/**
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<unknown>}
 */
export async function post(path, body, signal) {
  return (await send(path, requestOf(body, signal))).json();
}

/**
 * Events of a POST, as they come.
 * @param {string} path
 * @param {object} body
 * @param {AbortSignal} signal
 */
export async function* postStream(path, body, signal) {
  yield* readEvents(await send(path, requestOf(body, signal)), () => {});
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>} a good one; rejects with a Refusal
 */
export async function send(path, init) {
  const headers = new Headers(init.headers);
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token !== null) headers.set('authorization', `Bearer ${token}`);
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), { ...init, headers, cache: 'no-store' });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(0, 'The agent does not answer.');
  }
  if (response.ok) return response;
  throw new Refusal(
    response.status,
    (await sentenceOf(response)) ?? `The agent answered ${response.status}.`,
  );
}

/**
 * @param {object | undefined} body
 * @param {AbortSignal | undefined} signal
 * @returns {RequestInit}
 */
function requestOf(body, signal) {
  return {
    method: 'POST',
    signal: signal ?? null,
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  };
}

/** @param {Response} response */
async function sentenceOf(response) {
  try {
    const { error } = await response.json();
    return typeof error?.message === 'string' ? error.message : null;
  } catch {
    return null;
  }
}
