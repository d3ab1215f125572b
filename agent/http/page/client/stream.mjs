/** Follows the agent's events through restarts and lost networks, and lets go of it while nobody looks at the page. */
import { Refusal, send } from './agent.mjs';
import { readEvents } from './events.mjs';

/** @typedef {import('./events.mjs').ServerEvent} ServerEvent */

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;
/** The agent sends a sign of life every 15 s: after this time the connection is dead, whatever the network says. */
const SILENCE_MS = 40_000;
/** A page that is out of sight costs the agent something: it leaves, and is back at once when it is seen again. */
const HIDDEN_MS = 30_000;

/**
 * Follows a stream for ever.
 * @param {string} path
 * @param {{
 *   onEvent: (event: ServerEvent) => void,
 *   onUp: () => void,
 *   onDown: (why: string) => void,
 *   onToken: (why: string) => Promise<void>,
 * }} to `onToken` resolves when there is a token to try
 */
export async function follow(path, { onEvent, onUp, onDown, onToken }) {
  let lastId = '';
  let waitMs = FIRST_WAIT_MS;
  for (;;) {
    await untilSeen();
    const attention = new Attention();
    try {
      const headers = lastId === '' ? {} : { 'last-event-id': lastId };
      const response = await send(path, { headers, signal: attention.signal });
      onUp();
      waitMs = FIRST_WAIT_MS;
      for await (const event of readEvents(response, () => attention.sign())) {
        if (event.id !== '') lastId = event.id;
        onEvent(event);
      }
      onDown('The connection ended.');
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) {
        await onToken(error.message);
        continue;
      }
      onDown(attention.why ?? (error instanceof Refusal ? error.message : 'The connection broke.'));
    } finally {
      attention.end();
    }
    if (document.hidden) continue;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
  }
}

/** Ends a stream that is silent or that nobody looks at. */
class Attention {
  #controller = new AbortController();
  #silence = 0;
  #hidden = 0;
  /** @type {string | null} */
  why = null;

  constructor() {
    document.addEventListener('visibilitychange', this.#look);
    this.#look();
    this.sign();
  }

  get signal() {
    return this.#controller.signal;
  }

  sign() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#leave('The agent fell silent.'), SILENCE_MS);
  }

  end() {
    clearTimeout(this.#silence);
    clearTimeout(this.#hidden);
    document.removeEventListener('visibilitychange', this.#look);
  }

  #look = () => {
    clearTimeout(this.#hidden);
    if (document.hidden) this.#hidden = setTimeout(() => this.#leave('Nobody looks.'), HIDDEN_MS);
  };

  /** @param {string} why */
  #leave(why) {
    this.why = why;
    this.#controller.abort();
  }
}

/** @returns {Promise<void>} resolves once the page can be seen */
function untilSeen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
  });
}
