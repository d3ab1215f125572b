/** One decision explained, in a dialog: who was considered, who was chosen and why, what happened, how it ended. */
import { get } from './agent.mjs';
import { fill, find, make, say } from './dom.mjs';
import { bytes, duration, percent, time } from './numbers.mjs';

/** @typedef {import('../../../service.ts').Explanation} Explanation */

const dialog = find('story', HTMLDialogElement);
const title = find('story-title', HTMLElement);
const body = find('story-body', HTMLElement);

find('story-close', HTMLButtonElement).addEventListener('click', () => dialog.close());
dialog.addEventListener('close', () => history.replaceState(null, '', location.pathname + location.search));
addEventListener('hashchange', () => void openFromAddress());

/** Opens the decision that the address names, if it names one. */
export async function openFromAddress() {
  const id = /^#decision-(\d+)$/.exec(location.hash)?.[1];
  if (id === undefined) return;
  say(title, `Decision ${id}`);
  fill(body, make('p', {}, 'Reading the log.'));
  if (!dialog.open) dialog.showModal();
  title.focus();
  try {
    const found = /** @type {Explanation} */ (await get(`expertd/v1/decisions/${id}`));
    if (title.textContent === `Decision ${id}`) fill(body, ...story(found));
  } catch (error) {
    fill(body, make('p', { class: 'error' }, error instanceof Error ? error.message : String(error)));
  }
}

/** @param {Explanation} explanation */
function story(explanation) {
  const { decision } = explanation;
  return [
    make('p', { class: 'muted' }, time(decision.atMs)),
    ...part('Asked', asked(explanation)),
    ...part('Considered', considered(explanation)),
    ...part('Why', reasons(explanation)),
    ...part('Memory', memory(explanation)),
    ...part('What happened', timeline(explanation)),
    ...part('Outcome', outcome(explanation)),
  ];
}

/**
 * @param {string} name
 * @param {Element | null} content null: nothing is known of it
 */
function part(name, content) {
  return content === null ? [] : [make('h3', {}, name), content];
}

/** @param {Explanation} explanation */
function asked({ asked }) {
  if (asked === null) return null;
  const language = asked.language === null ? '' : `, language ${asked.language}`;
  const text = asked.text === null ? 'The text was not kept (log.text is off).' : asked.text;
  return make(
    'div',
    {},
    make('p', { class: 'text' }, text),
    make('p', { class: 'muted small' }, `${asked.chars} characters${language}`),
  );
}

/** @param {Explanation} explanation */
function considered({ choice }) {
  if (choice === null) return null;
  if (choice.router === 'named') return make('p', {}, 'Nobody else: the request named its expert.');
  if (choice.candidates.length === 0) return make('p', {}, 'Nobody: no router had an opinion.');
  const rows = choice.candidates.map(({ expert, score, confidence, why }) => {
    const name = expert === choice.expert ? `${expert} (chosen)` : expert;
    return [name, score.toFixed(3), percent(confidence), why];
  });
  return table(['Expert', 'Score', 'Confidence', 'Why'], rows);
}

/** @param {Explanation} explanation */
function reasons({ decision, policies }) {
  if (decision.reasons.length === 0) return null;
  const rules =
    policies === null
      ? null
      : `Policies: router ${policies.router.join(', ')}; residency ${policies.residency}.`;
  return make(
    'div',
    {},
    make('ul', {}, ...decision.reasons.map((reason) => make('li', {}, reason))),
    rules === null ? null : make('p', { class: 'muted small' }, rules),
  );
}

/** @param {Explanation} explanation */
function memory({ memory, residencyBefore, residencyAfter }) {
  const moved = Object.entries(residencyAfter ?? {}).filter(
    ([id, state]) => residencyBefore !== null && residencyBefore[id] !== state,
  );
  const changes = moved.map(([id, state]) => `${id}: ${residencyBefore?.[id] ?? 'unknown'} → ${state}`);
  if (memory === null && changes.length === 0) return null;
  const line =
    memory === null
      ? null
      : `${bytes(memory.committedBytes)} of ${bytes(memory.budgetBytes)} were charged; pressure ${memory.pressure}.`;
  return make(
    'div',
    {},
    line === null ? null : make('p', {}, line),
    changes.length === 0 ? null : make('ul', {}, ...changes.map((change) => make('li', {}, change))),
  );
}

/** @param {Explanation} explanation */
function timeline({ decision, timeline }) {
  if (timeline.length === 0) return null;
  const rows = timeline.map(({ atMs, event, reasons, steps }) => {
    const told = [...reasons, ...steps.map((step) => `→ ${step}`)].join('; ');
    return [`+${duration(Math.max(0, atMs - decision.atMs))}`, event, told];
  });
  return table(['After', 'Event', 'Decided'], rows);
}

/** @param {Explanation} explanation */
function outcome({ decision, outcome }) {
  if (outcome === null) return decision.request === null ? null : make('p', {}, 'Not known yet.');
  const { ok, failure, predictedLoadMs, loadMs, stages } = outcome;
  const failed = `Failed: ${[failure?.message ?? 'no reason given', failure?.hint].filter(Boolean).join('. ')}`;
  const rows = Object.entries(stages).map(([name, ms]) => [name, duration(ms)]);
  return make(
    'div',
    {},
    make('p', ok ? {} : { class: 'error' }, ok ? 'Answered.' : failed),
    loadMs === null
      ? null
      : make('p', {}, `The load took ${duration(loadMs)}; ${duration(predictedLoadMs)} had been predicted.`),
    rows.length === 0 ? null : table(['Stage', 'Time'], rows),
  );
}

/**
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 */
function table(head, rows) {
  return make(
    'div',
    { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': head.join(', ') },
    make(
      'table',
      {},
      make('thead', {}, make('tr', {}, ...head.map((name) => make('th', { scope: 'col' }, name)))),
      make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((text) => make('td', {}, text))))),
    ),
  );
}
