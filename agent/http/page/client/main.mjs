/** The page: what the stream tells goes into a model, and the model is shown, unless the reader paused it. */
import { keepToken } from './agent.mjs';
import { offerExperts } from './ask.mjs';
import { addDecision, forgetDecisions, noteGap, readDecisions, showDecisions } from './decisions.mjs';
import { showDevice } from './device.mjs';
import { fill, find, make, say } from './dom.mjs';
import { showExperts } from './experts.mjs';
import { agentLine, showMemory } from './memory.mjs';
import { openFromAddress } from './story.mjs';
import { follow } from './stream.mjs';

/** @typedef {import('../../tellings.ts').ToldState} State */
/** @typedef {import('../../tellings.ts').ToldProgress} Progress */

const connection = find('connection', HTMLElement);
const pause = find('pause', HTMLButtonElement);
const token = find('token', HTMLElement);
const tokenText = find('token-text', HTMLInputElement);
const problems = find('problems', HTMLElement);

/** @type {State | null} */
let state = null;
let paused = false;
let drawing = false;

pause.addEventListener('click', () => {
  paused = !paused;
  pause.setAttribute('aria-pressed', String(paused));
  draw();
});

void follow('expertd/v1/events', {
  onUp: () => {
    connected('good', 'Live');
    noteGap('');
    readDecisions().then(draw, () => noteGap('Earlier decisions could not be read.'));
    void openFromAddress();
  },
  onDown: (why) => connected('bad', `${why} Trying again.`),
  onToken: askToken,
  onEvent: ({ event, data }) => {
    take(event, JSON.parse(data));
    draw();
  },
});

/**
 * @param {string} event
 * @param {any} told as its name says; see the agent's events.ts
 */
function take(event, told) {
  if (event === 'state') state = /** @type {State} */ (told);
  else if (event === 'decision') addDecision(told);
  else if (event === 'progress') takeProgress(told);
  else if (event === 'skipped')
    noteGap(`${told.count} decisions were made faster than they can be shown; the log has them.`);
  else if (event === 'reset') {
    forgetDecisions();
    noteGap(`Not all decisions are shown: ${told.reason}.`);
  }
}

/** @param {Progress} progress of an expert that the state may not know yet */
function takeProgress({ expert, state: where, progress, error }) {
  if (state === null) return;
  const experts = state.experts.map((one) =>
    one.id === expert ? { ...one, state: where, progress, error } : one,
  );
  state = { ...state, experts };
}

/** Draws at most once a frame, however much comes. */
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (paused) return;
    showDecisions();
    if (state !== null) show(state);
  });
}

/** @param {State} now */
function show(now) {
  say(find('agent', HTMLElement), agentLine(now));
  showMemory(now);
  showDevice(now);
  showExperts(now.experts);
  offerExperts(now.experts);
  const told = now.health.problems.map(({ message, hint }) =>
    hint === null ? message : `${message}. ${hint}`,
  );
  const list = find('problem-list', HTMLElement);
  if ([...list.children].map((item) => item.textContent).join('\n') !== told.join('\n'))
    fill(list, ...told.map((text) => make('li', {}, text)));
  problems.hidden = told.length === 0;
}

/**
 * @param {'good' | 'bad' | 'wait'} kind
 * @param {string} text
 */
function connected(kind, text) {
  connection.dataset['kind'] = kind;
  say(connection, text);
}

/**
 * Shows the field for the token; resolves once there is one to try.
 * @param {string} why
 * @returns {Promise<void>}
 */
function askToken(why) {
  connected('bad', 'Waiting for a token');
  token.hidden = false;
  say(find('token-why', HTMLElement), why);
  tokenText.focus();
  return new Promise((resolve) => {
    find('token-form', HTMLFormElement).addEventListener(
      'submit',
      (event) => {
        event.preventDefault();
        keepToken(tokenText.value.trim());
        tokenText.value = '';
        token.hidden = true;
        resolve();
      },
      { once: true },
    );
  });
}
