/** What `expertd top` shows, as lines: a pure function of what is known and of the room there is. */
import type { Device } from '../device.ts';
import type { ExpertView, Health, StateView } from '../service.ts';
import { bytes, duration, type Painter, percent, printable, table } from './print.ts';

/** As the agent's events tell it. */
export type TopState = StateView & { readonly health: Health; readonly experts: readonly ExpertView[] };

export interface TopDecision {
  readonly id: number;
  readonly atMs: number;
  readonly event: string | null;
  readonly reasons: readonly string[];
  readonly choice: { readonly expert: string | null; readonly confidence: number | null } | null;
  readonly steps: readonly { readonly type: string; readonly expert?: string; readonly cell?: string }[];
}

export interface Shown {
  readonly state: TopState;
  /** Newest first. */
  readonly decisions: readonly TopDecision[];
  /** What stands at the right end of the first line. */
  readonly corner: string;
}

export interface Room {
  readonly columns: number;
  /** Infinity where there is no end to it. */
  readonly rows: number;
}

interface Part {
  readonly sign: string;
  readonly colour: number;
  readonly bytes: number;
  readonly text: string;
}

const CELL_SIGNS = ['=', '+', '%', '*', 'o'];
const COLOURS = { agent: 37, cells: [36, 33, 35, 32, 34], loading: 31, free: 90, bad: 31 } as const;
const MAX_PROBLEMS = 3;
/** Rows that a table takes beside its own: a blank one and its head. */
const TABLE_HEAD_ROWS = 2;

/** At most `rows` lines of at most `columns` characters; escape sequences come on top. */
export function frame(shown: Shown, { columns, rows }: Room, paint: Painter): string[] {
  const { state } = shown;
  const head = [
    headLine(shown, columns, paint),
    '',
    ...memoryLines(state, columns, paint),
    cut(`device    ${deviceText(state)}`, columns),
    cut(`requests  ${requestText(state)}`, columns),
    ...problemLines(state.health, columns, paint),
  ];
  const left = Math.max(0, rows - head.length - 2 * TABLE_HEAD_ROWS);
  const expertRows = Math.min(state.experts.length, Math.max(3, Math.ceil(left / 2)), left);
  const experts = cutTable(expertTable(state.experts), expertRows, state.experts.length, columns, paint);
  const decisionRows = Math.min(shown.decisions.length, left - expertRows);
  const decisions = decisionTable(shown.decisions.slice(0, decisionRows), columns, paint);
  return [...head, '', ...experts, '', ...decisions].slice(0, rows);
}

function headLine({ state, corner }: Shown, columns: number, paint: Painter): string {
  const { version, ready, uptimeMs } = state.health;
  const name = `expertd ${version}`;
  const rest = `, ${ready ? 'ready' : 'not ready'}, up ${duration(uptimeMs)}`;
  const room = Math.max(0, columns - name.length - rest.length);
  return cut(name, columns, paint, 1) + cut(rest + corner.padStart(room), columns - name.length);
}

function memoryLines(state: TopState, columns: number, paint: Painter): string[] {
  const { budgetBytes, committedBytes, measuredBytes } = state;
  const free = budgetBytes - committedBytes;
  const measured = measuredBytes === null ? '' : `, measured ${bytes(measuredBytes)}`;
  const rest = free >= 0 ? `${bytes(free)} free` : `over the budget by ${bytes(-free)}`;
  const share = budgetBytes > 0 ? ` (${percent(committedBytes / budgetBytes)})` : '';
  const text = `memory    ${bytes(committedBytes)} of ${bytes(budgetBytes)} charged${share}${measured}, ${rest}`;
  const parts = partsOf(state);
  return [cut(text, columns), bar(parts, columns, paint), ...legend(parts, columns, paint)];
}

/** What the budget is charged for: the agent, each cell and the loads under way in it, and what is free. */
function partsOf({ budgetBytes, committedBytes, cells, experts }: TopState): Part[] {
  const inCells = cells.reduce((sum, cell) => sum + cell.bytes, 0);
  const parts: Part[] = [part('#', COLOURS.agent, committedBytes - inCells, 'agent')];
  cells.forEach((cell, index) => {
    const loading = experts.filter((expert) => expert.cell === cell.id && expert.state === 'loading');
    const reserved = loading.reduce((sum, { memory }) => sum + (memory?.loadBytes ?? 0), 0);
    const here = cell.experts.filter((id) => !loading.some((expert) => expert.id === id));
    const names = here.length === 0 ? cell.id : `${cell.id} (${here.join(', ')})`;
    const turn = index % CELL_SIGNS.length;
    parts.push(part(CELL_SIGNS[turn] ?? '=', COLOURS.cells[turn] ?? 36, cell.bytes - reserved, names));
    if (reserved > 0) {
      const ids = loading.map(({ id }) => id).join(', ');
      parts.push(part('~', COLOURS.loading, reserved, `loading ${ids}`));
    }
  });
  return [...parts, part('.', COLOURS.free, budgetBytes - committedBytes, 'free')];
}

function part(sign: string, colour: number, size: number, text: string): Part {
  return { sign, colour, bytes: Math.max(0, size), text };
}

/** Widths by the sums so far, so that they add up to the whole. */
function bar(parts: readonly Part[], columns: number, paint: Painter): string {
  const room = Math.max(0, columns - 2);
  const total = Math.max(
    1,
    parts.reduce((sum, one) => sum + one.bytes, 0),
  );
  let before = 0;
  let drawn = '';
  for (const { sign, colour, bytes: size } of parts) {
    const from = Math.round((before / total) * room);
    before += size;
    drawn += paint(colour, sign.repeat(Math.round((before / total) * room) - from));
  }
  return `[${drawn}]`;
}

/** As many items a line as fit. */
function legend(parts: readonly Part[], columns: number, paint: Painter): string[] {
  const lines: string[] = [];
  let line = '';
  let width = 0;
  for (const { sign, colour, bytes: size, text } of parts) {
    const words = cut(` ${printable(text)} ${bytes(size)}`, columns - 1);
    if (width > 0 && width + 4 + words.length > columns) {
      lines.push(line);
      [line, width] = ['', 0];
    }
    line += `${width === 0 ? '' : '   '}${paint(colour, sign)}${words}`;
    width += (width === 0 ? 0 : 3) + 1 + words.length;
  }
  return [...lines, line];
}

function deviceText({ pressure, admission, availableBytes, device, loadCost }: TopState): string {
  return [
    ...(availableBytes === null ? [] : [`${bytes(availableBytes)} available`]),
    ...heatTexts(device ?? null),
    `pressure ${pressure.level} (${pressure.why})`,
    ...(loadCost !== undefined && loadCost.factor > 1
      ? [`loads cost ${loadCost.factor.toFixed(1)} times`]
      : []),
    ...(admission === 'closed' ? ['no loads now'] : []),
  ].join(', ');
}

function heatTexts(device: Device | null): string[] {
  if (device === null) return [];
  const { thermal, throttle, watts } = device;
  return [
    ...(thermal === null ? [] : [`${thermal.celsius.toFixed(1)} C`]),
    ...(throttle === null || throttle.now.length === 0 ? [] : [throttle.now.join(', ')]),
    ...(watts === null ? [] : [`${watts.toFixed(1)} W`]),
  ];
}

function requestText({ running, waiting, counts, log }: TopState): string {
  const since =
    counts === undefined ? '' : `; ${counts.loads} loads, ${counts.evictions} evictions since the start`;
  const degraded = log.state === 'degraded' ? `; log degraded: ${log.reason ?? 'no reason given'}` : '';
  return `${running} running, ${waiting} waiting${since}${degraded}`;
}

function problemLines({ problems }: Health, columns: number, paint: Painter): string[] {
  const shown = problems.slice(0, MAX_PROBLEMS).map(({ message }) => `! ${message}`);
  const more = problems.length - shown.length;
  const lines = more > 0 ? [...shown, `! and ${more} more: expertd status`] : shown;
  return lines.map((line) => cut(line, columns, paint, COLOURS.bad));
}

function expertTable(experts: readonly ExpertView[]): string {
  const rows = experts.map(({ id, state, progress, pinned, leases, lane, cell, memory, uses }) => {
    const how = [
      ...(progress === null ? [] : [percent(progress)]),
      ...(leases > 0 ? [`${leases} at work`] : []),
      ...(pinned ? ['pinned'] : []),
    ];
    const size = memory === null ? '-' : `${memory.measured ? '' : '< '}${bytes(memory.residentBytes)}`;
    return [id, [state, ...how].join(', '), lane ?? '-', cell ?? '-', size, String(uses)];
  });
  return table(['EXPERT', 'STATE', 'LANE', 'CELL', 'MEMORY', 'USES'], rows, ['MEMORY', 'USES']);
}

/** The first `count` rows of a table of `total`; where that is not all, the last one says so. */
function cutTable(text: string, count: number, total: number, columns: number, paint: Painter): string[] {
  const [head = '', ...rows] = text.trimEnd().split('\n');
  const hidden = total - count;
  const kept = rows.slice(0, hidden > 0 ? Math.max(0, count - 1) : count);
  const note = hidden > 0 && count > 0 ? [cut(`and ${hidden + 1} more`, columns, paint, 2)] : [];
  return [cut(head, columns, paint, 2), ...kept.map((row) => cut(row, columns)), ...note];
}

function decisionTable(decisions: readonly TopDecision[], columns: number, paint: Painter): string[] {
  const rows = decisions.map(({ id, atMs, event, reasons, choice, steps }) => {
    const clock = new Date(atMs).toTimeString().slice(0, 8);
    // What needed no reason is said by what it did.
    const why = reasons.length > 0 ? reasons : steps.map(stepText);
    return [String(id), clock, whatOf(event, choice), why.join('; ')];
  });
  const [head = '', ...lines] = table(['DECISION', 'TIME', 'WHAT', 'WHY'], rows, ['DECISION'])
    .trimEnd()
    .split('\n');
  return [cut(head, columns, paint, 2), ...lines.map((line) => cut(line, columns))];
}

function stepText({ type, expert, cell }: TopDecision['steps'][number]): string {
  return [
    type,
    ...(expert === undefined ? [] : [expert]),
    ...(cell === undefined ? [] : [`in ${cell}`]),
  ].join(' ');
}

function whatOf(event: string | null, choice: TopDecision['choice']): string {
  if (choice === null) return event ?? '-';
  if (choice.expert === null) return 'abstained';
  return choice.confidence === null ? choice.expert : `${choice.expert}, ${percent(choice.confidence)}`;
}

/** At most `columns` characters, with no control characters; painted after the cut, so that no sequence is cut. */
function cut(text: string, columns: number, paint?: Painter, code = 0): string {
  const characters = [...printable(text).replace(/\s+/g, (space) => ' '.repeat(space.length))];
  const short =
    characters.length <= columns
      ? characters.join('')
      : `${characters.slice(0, Math.max(0, columns - 1)).join('')}${columns > 0 ? '>' : ''}`;
  return paint === undefined ? short : paint(code, short);
}
