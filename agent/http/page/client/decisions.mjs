/** The last decisions, newest first; a screen reader is told of new ones now and then, not of each. */
import { get } from './agent.mjs';
import { decisionLink, fill, find, make, say } from './dom.mjs';
import { counted, percent, time } from './numbers.mjs';

/** @typedef {import('../../tellings.ts').ToldDecision} Decision */
/** @typedef {import('../../../service.ts').DecisionRow} Row */

const KEPT = 30;
const ANNOUNCE_MS = 5_000;
/** What an event is called here; one that is not listed is called by its own name. */
const EVENTS = new Map([
  ['request', 'request'],
  ['features', 'request'],
  ['loaded', 'loaded'],
  ['loadFailed', 'load failed'],
  ['unloaded', 'unloaded'],
  ['unloadFailed', 'unload failed'],
  ['cellExited', 'cell ended'],
  ['hungUp', 'hung up'],
  ['sample', 'reading'],
  ['tick', 'time'],
  ['pending', 'fetch'],
]);

const list = find('decisions', HTMLOListElement);
const note = find('decisions-note', HTMLElement);
const announcer = find('announcer', HTMLElement);

/** @type {Map<number, Decision>} */
const known = new Map();
/** @type {Map<number, HTMLLIElement>} */
const items = new Map();
let gap = '';
/** @type {Decision[]} */
let unsaid = [];
let announcing = false;

/** @param {Decision} decision as the stream tells it */
export function addDecision(decision) {
  const { id } = decision;
  if (known.has(id) && decision.event === null) return;
  known.set(id, decision);
  for (const old of [...known.keys()].sort((a, b) => b - a).slice(KEPT)) known.delete(old);
  if (decision.choice === null) return;
  unsaid.push(decision);
  if (announcing) return;
  announcing = true;
  setTimeout(announce, ANNOUNCE_MS);
}

/** Reads what was decided before this page was opened. */
export async function readDecisions() {
  const { decisions } = /** @type {{ decisions: Row[] }} */ (await get(`expertd/v1/decisions?limit=${KEPT}`));
  for (const { id, atMs, reasons, request, expert, confidence, router } of decisions) {
    if (known.has(id)) continue;
    known.set(id, {
      id,
      atMs,
      event: null,
      reasons,
      choice: { request, expert, confidence, router },
      steps: [],
    });
  }
}

/** @param {string} text what the list does not show, and why; empty: nothing */
export function noteGap(text) {
  gap = text;
}

/** Forgets everything: the agent's log is another one. */
export function forgetDecisions() {
  known.clear();
}

export function showDecisions() {
  const newest = [...known.values()].sort((a, b) => b.id - a.id).slice(0, KEPT);
  const wanted = new Set(newest.map(({ id }) => id));
  for (const [id, item] of items) {
    if (wanted.has(id)) continue;
    item.remove();
    items.delete(id);
  }
  newest.forEach((decision, index) => {
    const item = items.get(decision.id) ?? itemOf(decision);
    items.set(decision.id, item);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
  say(note, newest.length === 0 ? 'None yet.' : gap);
  note.hidden = note.textContent === '';
}

/** @param {Decision} decision */
function itemOf(decision) {
  const { id, atMs } = decision;
  // What needed no reason is said by what it did.
  const reasons = decision.reasons.length > 0 ? decision.reasons : decision.steps.map(stepText);
  const when = make('time', { datetime: new Date(atMs).toISOString() }, time(atMs));
  const head = make(
    'p',
    {},
    decisionLink(id, `Decision ${id}`),
    ' ',
    make('b', {}, titleOf(decision)),
    ' ',
    when,
  );
  const item = make('li', { value: String(id) }, head);
  if (decision.choice?.expert === null) item.dataset['kind'] = 'abstained';
  if (reasons.length > 0) item.append(make('ul', {}, ...reasons.map((reason) => make('li', {}, reason))));
  return item;
}

/** @param {Decision['steps'][number]} step */
function stepText({ type, expert, cell }) {
  return [
    type,
    ...(expert === undefined ? [] : [expert]),
    ...(cell === undefined ? [] : [`in ${cell}`]),
  ].join(' ');
}

/** @param {Decision} decision */
function titleOf({ event, choice }) {
  if (choice === null) return EVENTS.get(event ?? '') ?? event ?? '';
  if (choice.expert === null) return 'no expert was confident';
  return choice.confidence === null ? choice.expert : `${choice.expert}, ${percent(choice.confidence)}`;
}

function announce() {
  announcing = false;
  const last = unsaid.at(-1);
  if (last !== undefined)
    fill(announcer, `${counted(unsaid.length, 'new decision')}. The last: ${titleOf(last)}.`);
  unsaid = [];
}
