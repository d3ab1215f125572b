/** The box to ask a question. */
import { post, postStream } from './agent.mjs';
import { decisionLink, fill, find, make, say } from './dom.mjs';
import { duration, percent } from './numbers.mjs';

/** @typedef {import('../../tellings.ts').ToldExpert} Expert */
/**
 * Who answered: beside a completion, or in the last chunk of a stream.
 * @typedef {object} Note
 * @property {number} decision
 * @property {string | null} expert
 * @property {number | null} confidence
 * @property {string | null} residency
 * @property {Readonly<Record<string, number>>} stages
 * @property {string} [degraded] in what way the answer is less than it could be
 * @property {readonly { title: string, source: string }[]} [sources] what a language model spoke from
 */
/** @typedef {{ choices: { message: { content: string } }[], expertd: Note }} Completion */
/** @typedef {{ choices: { delta: { content?: string } }[], expertd?: Note }} Chunk */

/** They take no question. */
const UNASKABLE = ['feature-extraction', 'tensor'];

/**
 * Why an answer is less than it could be, as a sentence.
 * @type {Readonly<Record<string, string>>}
 */
const LACKS = {
  'not-recorded': 'The decision was not recorded.',
  'base-loading': 'Its language model is still being loaded: this is what it would have spoken from.',
  'base-not-installed': 'Its language model is not installed: this is what it would have spoken from.',
  'base-failed': 'Its language model failed: this is what it would have spoken from.',
};

const form = find('ask-form', HTMLFormElement);
const question = find('question', HTMLTextAreaElement);
const model = find('model', HTMLSelectElement);
const streams = find('stream', HTMLInputElement);
const send = find('send', HTMLButtonElement);
const stop = find('stop', HTMLButtonElement);
const answer = find('answer', HTMLElement);
const text = find('answer-text', HTMLElement);
const sources = find('answer-sources', HTMLElement);
const who = find('answer-who', HTMLElement);

/** @type {AbortController | null} */
let asking = null;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (asking === null && question.value.trim() !== '') void ask();
});
question.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
stop.addEventListener('click', () => asking?.abort());

/** @param {readonly Expert[]} experts those that can be asked become choices */
export function offerExperts(experts) {
  const names = experts
    .filter(({ task, state }) => task !== null && !UNASKABLE.includes(task) && state !== 'failed')
    .map(({ id }) => id);
  const offered = [...model.options].slice(1).map(({ value }) => value);
  if (names.join() === offered.join()) return;
  const chosen = model.value;
  fill(
    model,
    ...[...model.options].slice(0, 1),
    ...names.map((name) => make('option', { value: name }, name)),
  );
  model.value = names.includes(chosen) ? chosen : 'auto';
}

async function ask() {
  asking = new AbortController();
  begin();
  const body = { model: model.value, messages: [{ role: 'user', content: question.value }] };
  try {
    const note = streams.checked
      ? await askStreamed(body, asking.signal)
      : await askWhole(body, asking.signal);
    showSources(note.sources ?? []);
    fill(who, `${wording(note)} `, decisionLink(note.decision, `Why: decision ${note.decision}`));
  } catch (error) {
    answer.dataset['kind'] = 'error';
    say(who, asking.signal.aborted ? 'Stopped.' : error instanceof Error ? error.message : String(error));
  } finally {
    end();
  }
}

/**
 * @param {object} body
 * @param {AbortSignal} signal
 */
async function askWhole(body, signal) {
  const completion = /** @type {Completion} */ (await post('v1/chat/completions', body, signal));
  say(text, completion.choices[0]?.message.content ?? '');
  return completion.expertd;
}

/**
 * @param {object} body
 * @param {AbortSignal} signal
 * @returns {Promise<Note>}
 */
async function askStreamed(body, signal) {
  /** @type {Note | undefined} */
  let note;
  for await (const { event, data } of postStream('v1/chat/completions', { ...body, stream: true }, signal)) {
    if (event === 'error') throw new Error(JSON.parse(data).error?.message ?? 'The answer broke off.');
    if (data === '[DONE]') break;
    const chunk = /** @type {Chunk} */ (JSON.parse(data));
    text.append(chunk.choices[0]?.delta.content ?? '');
    note = chunk.expertd ?? note;
  }
  if (note === undefined) throw new Error('The answer broke off.');
  return note;
}

/** While an answer is being written it is busy, so a screen reader waits for the whole. */
function begin() {
  delete answer.dataset['kind'];
  answer.setAttribute('aria-busy', 'true');
  answer.hidden = false;
  fill(text);
  showSources([]);
  say(who, 'Asking.');
  send.disabled = true;
  stop.hidden = false;
}

function end() {
  asking = null;
  answer.setAttribute('aria-busy', 'false');
  send.disabled = false;
  if (document.activeElement === stop || document.activeElement === document.body) question.focus();
  stop.hidden = true;
}

/** @param {readonly { title: string, source: string }[]} list numbered as the language model was told them */
function showSources(list) {
  sources.hidden = list.length === 0;
  fill(
    sources,
    ...list.map(({ title, source }) => make('li', {}, title === '' ? source : `${title} (${source})`)),
  );
}

/** @param {Note} note */
function wording({ expert, confidence, residency, stages, degraded }) {
  const took = stages['total'] === undefined ? '' : ` in ${duration(stages['total'])}`;
  if (expert === null) return `No expert was confident${took}.`;
  const chosen = confidence === null ? expert : `${expert}, chosen with ${percent(confidence)}`;
  const lack = degraded === undefined ? '' : ` ${LACKS[degraded] ?? degraded}`;
  return `${chosen}${residency === null ? '' : `, was ${residency}`}${took}.${lack}`;
}
