/** The table of experts. Rows and buttons stay the same elements while their text changes: the focus stays where it is. */
import { post } from './agent.mjs';
import { fill, find, make, say } from './dom.mjs';
import { bytes, percent, time } from './numbers.mjs';

/** @typedef {import('../../tellings.ts').ToldExpert} Expert */
/** @typedef {'load' | 'unload' | 'pin' | 'unpin' | 'clear'} Command */

const body = find('experts', HTMLElement);
const status = find('experts-status', HTMLElement);
const IN_MEMORY = ['resident', 'loading'];
const COLUMNS = ['State', 'Lane', 'Memory', 'Uses', 'Last used', 'Actions'];

/** @type {Map<string, Row>} */
const rows = new Map();

/** @param {readonly Expert[]} experts */
export function showExperts(experts) {
  for (const [id, row] of rows) {
    if (experts.some((expert) => expert.id === id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  experts.forEach((expert, index) => {
    const row = rows.get(expert.id) ?? new Row(expert.id);
    rows.set(expert.id, row);
    row.show(expert);
    if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
  });
}

class Row {
  #id;
  #about = make('span', { class: 'muted small' });
  #error = make('span', { class: 'error small' });
  #cells = COLUMNS.map((column) =>
    make('td', {
      role: 'cell',
      'data-label': column,
      ...(column === 'Memory' || column === 'Uses' ? { class: 'number' } : {}),
    }),
  );
  #residency = this.#button();
  #pin = this.#button();
  #clear = this.#button();
  /** @type {readonly Command[]} what the buttons do now, in their order */
  #commands = ['load', 'pin', 'clear'];

  /** @param {string} id */
  constructor(id) {
    this.#id = id;
    const name = make('th', { role: 'rowheader', scope: 'row' }, make('b', {}, id), this.#about, this.#error);
    this.element = make('tr', { role: 'row' }, name, ...this.#cells);
    const actions = this.#cells.at(-1);
    if (actions !== undefined) fill(actions, this.#residency, this.#pin, this.#clear);
  }

  /** @param {Expert} expert */
  show(expert) {
    const { state, memory, uses, lastUsedMs, summary, error } = expert;
    this.element.dataset['state'] = state;
    say(this.#about, summary ?? '');
    say(this.#error, error === null ? '' : [error.message, error.hint].filter(Boolean).join('. '));
    this.#error.hidden = error === null;
    const size =
      memory === null ? 'no data' : `${memory.measured ? '' : 'at most '}${bytes(memory.residentBytes)}`;
    const texts = [
      stateOf(expert),
      laneOf(expert),
      size,
      String(uses),
      lastUsedMs === null ? 'never' : time(lastUsedMs),
    ];
    texts.forEach((text, index) => {
      const cell = this.#cells[index];
      if (cell !== undefined) say(cell, text);
    });
    this.#offer(expert);
  }

  /** @param {Expert} expert */
  #offer({ state, pinned }) {
    const installed = state !== 'fetching' && state !== 'failed';
    const quarantined = state === 'quarantined';
    this.#commands = [IN_MEMORY.includes(state) ? 'unload' : 'load', pinned ? 'unpin' : 'pin', 'clear'];
    const offered = [installed && !quarantined, installed, quarantined];
    [this.#residency, this.#pin, this.#clear].forEach((button, index) => {
      const command = this.#commands[index] ?? 'clear';
      const name = `${command.charAt(0).toUpperCase()}${command.slice(1)}`;
      if (button.dataset['command'] !== command) {
        button.dataset['command'] = command;
        fill(button, name, make('span', { class: 'unseen' }, ` ${this.#id}`));
      }
      const hide = offered[index] !== true;
      // What had the focus goes away: its neighbour takes it.
      if (hide && button === document.activeElement) this.#pin.focus();
      button.hidden = hide;
    });
  }

  #button() {
    const button = make('button', { type: 'button' });
    button.addEventListener('click', () => void this.#act(button));
    return button;
  }

  /** @param {HTMLButtonElement} button */
  async #act(button) {
    const command = button.dataset['command'] ?? '';
    say(status, `${command} ${this.#id}: asked`);
    try {
      await post(`expertd/v1/experts/${encodeURIComponent(this.#id)}/${command}`);
      say(status, `${command} ${this.#id}: done`);
    } catch (error) {
      say(status, `${command} ${this.#id}: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** @param {Expert} expert */
function stateOf({ state, progress, pinned, leases }) {
  const how = [
    ...(progress === null ? [] : [percent(progress)]),
    ...(leases > 0 ? [`${leases} at work`] : []),
    ...(pinned ? ['pinned'] : []),
  ];
  return how.length === 0 ? state : `${state}, ${how.join(', ')}`;
}

/** @param {Expert} expert */
function laneOf({ lane, cell }) {
  if (cell === null) return lane ?? 'no data';
  return lane === null || lane === undefined ? cell : `${lane}, ${cell}`;
}
