/** The budget as one bar: the agent, each cell with its experts, loads under way, what is free; and the same in words. */
import { fill, find, make, say } from './dom.mjs';
import { bytes, counted, percent } from './numbers.mjs';

/** @typedef {import('../../tellings.ts').ToldState} State */
/**
 * @typedef {object} Part
 * @property {'agent' | 'cell' | 'loading' | 'free'} kind
 * @property {string} name
 * @property {number} bytes
 * @property {string} holds
 * @property {readonly { readonly name: string, readonly bytes: number }[]} inside what a cell's bytes are made of
 */

const HUES = 5;
const elements = {
  text: find('memory-text', HTMLElement),
  bar: find('memory-bar', HTMLElement),
  parts: find('memory-parts', HTMLElement),
};
let shown = '';

/** @param {State} state */
export function showMemory(state) {
  const parts = partsOf(state);
  const now = JSON.stringify([parts, state.budgetBytes, state.measuredBytes]);
  if (now === shown) return;
  shown = now;
  const text = summary(state);
  say(elements.text, text);
  elements.bar.setAttribute('aria-label', `${text} ${parts.map(sentence).join(' ')}`);
  drawBar(state, parts);
  fill(elements.parts, ...parts.map(legendRow));
}

/**
 * What the budget is charged for, in the order of the bar.
 * @param {State} state
 * @returns {Part[]}
 */
function partsOf({ budgetBytes, committedBytes, agentBytes, cells, experts }) {
  const inCells = cells.reduce((sum, cell) => sum + cell.bytes, 0);
  const measured = agentBytes === null ? '' : `measured ${bytes(agentBytes)}`;
  /** @type {Part[]} */
  const parts = [
    {
      kind: 'agent',
      name: 'agent',
      bytes: Math.max(0, committedBytes - inCells),
      holds: measured,
      inside: [],
    },
  ];
  for (const cell of cells) parts.push(...cellParts(cell, experts));
  const free = Math.max(0, budgetBytes - committedBytes);
  parts.push({ kind: 'free', name: 'free', bytes: free, holds: '', inside: [] });
  return parts;
}

/**
 * A cell is charged for what it holds and for the loads under way in it.
 * @param {State['cells'][number]} cell
 * @param {State['experts']} experts
 * @returns {Part[]}
 */
function cellParts(cell, experts) {
  const here = experts.filter((expert) => expert.cell === cell.id && expert.memory !== null);
  const loading = here.filter(({ state }) => state === 'loading');
  const reserved = Math.min(
    cell.bytes,
    loading.reduce((sum, { memory }) => sum + (memory?.loadBytes ?? 0), 0),
  );
  const held = here
    .filter(({ state }) => state !== 'loading')
    .map(({ id, memory }) => ({ name: id, bytes: memory?.residentBytes ?? 0 }));
  const process = Math.max(0, cell.bytes - reserved - held.reduce((sum, one) => sum + one.bytes, 0));
  const holds = [
    ...held.map((one) => `${one.name} ${bytes(one.bytes)}`),
    `process ${bytes(process)}`,
    ...(cell.leases > 0 ? [`${cell.leases} at work`] : []),
  ].join(', ');
  const inside = [{ name: cell.id, bytes: process }, ...held];
  /** @type {Part[]} */
  const parts = [{ kind: 'cell', name: cell.id, bytes: cell.bytes - reserved, holds, inside }];
  if (reserved === 0) return parts;
  const names = loading.map(({ id }) => id).join(', ');
  return [
    ...parts,
    { kind: 'loading', name: 'loading', bytes: reserved, holds: `${names} in ${cell.id}`, inside: [] },
  ];
}

/** @param {State} state */
function summary({ budgetBytes, committedBytes, measuredBytes }) {
  const share = budgetBytes > 0 ? ` (${percent(committedBytes / budgetBytes)})` : '';
  const measured = measuredBytes === null ? 'Nothing is measured yet' : `Measured: ${bytes(measuredBytes)}`;
  const free = budgetBytes - committedBytes;
  const rest = free >= 0 ? `Free: ${bytes(free)}` : `Over the budget by ${bytes(-free)}`;
  return `${bytes(committedBytes)} of ${bytes(budgetBytes)} charged${share}. ${measured}. ${rest}.`;
}

/** @param {Part} part */
function sentence({ name, bytes: size, holds }) {
  return `${name}: ${bytes(size)}${holds === '' ? '' : `, ${holds}`}.`;
}

/**
 * @param {State} state
 * @param {readonly Part[]} parts
 */
function drawBar({ budgetBytes, committedBytes, measuredBytes }, parts) {
  const scale = Math.max(1, budgetBytes, committedBytes, measuredBytes ?? 0);
  let cell = 0;
  const drawn = parts.map((part) => {
    const element = make('span', { class: 'part', 'data-kind': part.kind });
    if (part.kind === 'cell') element.dataset['hue'] = String(cell++ % HUES);
    element.style.flexGrow = String(part.bytes / scale);
    const labels = part.inside.length === 0 ? [{ name: part.name, bytes: part.bytes }] : part.inside;
    fill(element, ...labels.map(segment));
    return element;
  });
  const marks = [
    ...(measuredBytes === null ? [] : [mark('measured', measuredBytes / scale)]),
    ...(scale > budgetBytes ? [mark('budget', budgetBytes / scale)] : []),
  ];
  fill(elements.bar, ...drawn, ...marks);
}

/** @param {{ readonly name: string, readonly bytes: number }} of */
function segment({ name, bytes: size }) {
  const element = make('span', {}, name);
  element.style.flexGrow = String(size);
  return element;
}

/**
 * @param {string} kind
 * @param {number} share of the bar, from the left
 */
function mark(kind, share) {
  const element = make('span', { class: 'mark', 'data-kind': kind });
  element.style.left = `${share * 100}%`;
  return element;
}

/**
 * @param {Part} part
 * @param {number} index
 * @param {readonly Part[]} parts
 */
function legendRow(part, index, parts) {
  const before = parts.slice(0, index).filter(({ kind }) => kind === 'cell').length;
  const swatch = make('span', { class: 'swatch', 'data-kind': part.kind, 'aria-hidden': 'true' });
  if (part.kind === 'cell') swatch.dataset['hue'] = String(before % HUES);
  return make(
    'tr',
    {},
    make('th', { scope: 'row' }, swatch, part.name),
    make('td', { class: 'number' }, bytes(part.bytes)),
    make('td', {}, part.holds),
  );
}

/**
 * For the title of the tab and the head of the page.
 * @param {State} state
 */
export function agentLine({ health, experts }) {
  const up = Math.floor(health.uptimeMs / 60_000);
  const since = up < 1 ? 'less than a minute' : up < 120 ? `${up} min` : `${Math.floor(up / 60)} h`;
  const resident = experts.filter(({ state }) => state === 'resident').length;
  return `${health.version}, ${health.ready ? 'ready' : 'not ready'}, up ${since}, ${counted(resident, 'expert')} in memory`;
}
