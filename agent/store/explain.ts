/** Rows as the answers of the service: the list of decisions, and the whole story of one. */
import { decode, decodeChoice, decodeEvent, decodeSteps } from '../codec.ts';
import { AgentError } from '../errors.ts';
import type { Event } from '../events.ts';
import type { DecisionRow, Explanation } from '../service.ts';
import type { PolicyNames } from '../tuning.ts';
import type { Choice, ExpertId, Failure, Step } from '../types.ts';
import type { EventRow } from './record.ts';
import { decodeReasons } from './replay.ts';
import type { ListedChoice, Rows, StoredChoice } from './rows.ts';
import { describeStep } from './words.ts';

/** A request that waited through a crash loop may have a long story; a client gets its first part. */
const maxTimeline = 500;

export function listed(choice: ListedChoice): DecisionRow {
  const { sequence: id, atMs, requestId: request, expert, confidence, router, ok, totalMs } = choice;
  return {
    id,
    atMs,
    request,
    expert,
    confidence,
    router,
    reasons: decodeReasons(choice.reasons),
    ok,
    totalMs,
  };
}

/**
 * The story of a row: that of the request it is about, if there is one, else the row alone. null: there is no such row.
 * Throws AgentError `bad_encoding` where stored text is damaged.
 */
export function explain(rows: Rows, id: number): Explanation | null {
  const row = rows.event(id);
  if (row === null) return null;
  const stored = rows.choice(id) ?? (row.request === null ? null : choiceOf(rows, row.request));
  const chosen = stored === null || stored.sequence === id ? row : rows.event(stored.sequence);
  const choice = chosen === null || chosen.choice === null ? null : decodeChoice(chosen.choice);
  const first = row.request === null ? null : rows.event(row.request);
  const told = chosen ?? row;
  const timeline = timelineOf(rows, row, stored);
  const policies = rows.policies(id);
  return {
    decision: decisionOf(row, stored),
    asked: first === null ? null : askedOf(first),
    choice,
    policies: policies === null ? null : policiesOf(policies),
    residencyBefore: residencyOf(told, 0),
    residencyAfter: residencyOf(told, 1),
    memory: memoryOf(told),
    timeline: timeline.map(({ row: line, event, steps }) => ({
      id: line.sequence,
      atMs: line.atMs,
      event: event.type,
      reasons: decodeReasons(line.reasons),
      steps: steps.map(describeStep),
    })),
    outcome: outcomeOf(rows, stored, choice, timeline),
  };
}

function choiceOf(rows: Rows, request: number): StoredChoice | null {
  for (const sequence of [request, ...rows.story(request)]) {
    const choice = rows.choice(sequence);
    if (choice?.request === request) return choice;
  }
  return null;
}

function decisionOf(row: EventRow, stored: StoredChoice | null): DecisionRow {
  return {
    id: row.sequence,
    atMs: row.atMs,
    request: stored?.requestId ?? null,
    expert: stored?.expert ?? null,
    confidence: stored?.confidence ?? null,
    router: stored?.router ?? null,
    reasons: decodeReasons(row.reasons),
    ok: stored?.ok ?? null,
    totalMs: stored?.totalMs ?? null,
  };
}

function askedOf(first: EventRow): Explanation['asked'] {
  if (first.askedSha256 === null || first.askedChars === null) return null;
  const event = decodeEvent(first.body);
  const language = event.type === 'request' ? event.features.language : null;
  return { sha256: first.askedSha256, chars: first.askedChars, language, text: first.askedText };
}

// ---- timeline and outcome -------------------------------------------------------------------------------------

interface Line {
  readonly row: EventRow;
  readonly event: Event;
  readonly steps: readonly Step[];
}

/** What was decided for the request, and what happened to its expert until it ended, oldest first. */
function timelineOf(rows: Rows, row: EventRow, stored: StoredChoice | null): readonly Line[] {
  const sequences = new Set([row.sequence]);
  const { request } = row;
  if (request !== null) for (const sequence of [request, ...rows.story(request)]) sequences.add(sequence);
  if (stored !== null) {
    sequences.add(stored.sequence);
    if (stored.ended !== null) sequences.add(stored.ended);
    if (stored.expert !== null) {
      const from = stored.request ?? stored.sequence;
      const to = stored.ended ?? Number.MAX_SAFE_INTEGER;
      for (const sequence of rows.moves(stored.expert, from, to)) sequences.add(sequence);
    }
  }
  const ordered = [...sequences].sort((a, b) => a - b).slice(0, maxTimeline);
  return ordered.flatMap((sequence) => {
    const line = rows.event(sequence);
    return line === null ? [] : [{ row: line, event: decodeEvent(line.body), steps: stepsOf(line) }];
  });
}

function outcomeOf(
  rows: Rows,
  stored: StoredChoice | null,
  choice: Choice | null,
  timeline: readonly Line[],
): Explanation['outcome'] {
  if (stored === null || stored.ended === null) return null;
  const end = rows.event(stored.ended);
  if (end === null) return null;
  const event = decodeEvent(end.body);
  const own = stepsOf(end).filter((step) => 'request' in step && step.request === stored.requestId);
  const refused = own.find((step) => step.type === 'reject');
  const answered = event.type === 'released' && own.length === 0;
  return {
    ok: stored.ok === true,
    failure: refused?.failure ?? (answered ? event.outcome.error : brokenOff(event)),
    stages: answered ? event.outcome.stages : {},
    predictedLoadMs: choice?.predictedLoadMs ?? null,
    loadMs: stored.expert === null ? null : loadMsOf(stored.expert, timeline),
  };
}

/** An end without an outcome and without a refusal: the client or the process was gone. */
function brokenOff(event: Event): Failure | null {
  const without = { hint: null, retryable: false };
  if (event.type === 'hungUp') return { code: 'hung_up', message: 'the client hung up', ...without };
  if (event.type !== 'cellExited') return null;
  return { code: 'cell_exited', message: `its process ended (${event.cause})`, ...without };
}

function loadMsOf(expert: ExpertId, timeline: readonly Line[]): number | null {
  for (const { event } of timeline) {
    if (event.type === 'loaded' && event.expert === expert) return event.report.loadMs;
  }
  return null;
}

// ---- columns --------------------------------------------------------------------------------------------------

function stepsOf(row: EventRow): readonly Step[] {
  return row.steps === null ? [] : decodeSteps(row.steps);
}

/** `which`: 0 before, 1 after. */
function residencyOf(row: EventRow, which: 0 | 1): Readonly<Record<ExpertId, string>> | null {
  if (row.residency === null) return null;
  const table = decode(row.residency);
  if (typeof table !== 'object' || table === null) return unreadable();
  return Object.fromEntries(
    Object.entries(table).map(([id, states]) => [
      id,
      Array.isArray(states) ? String(states[which]) : unreadable(),
    ]),
  );
}

function memoryOf(row: EventRow): Explanation['memory'] {
  if (row.memory === null) return null;
  const numbers = decode(row.memory);
  if (!Array.isArray(numbers) || (numbers.length !== 4 && numbers.length !== 7)) return unreadable();
  const [budgetBytes, committedBytes, availableBytes, pressure, ...device] = numbers;
  return {
    budgetBytes: Number(budgetBytes),
    committedBytes: Number(committedBytes),
    availableBytes: availableBytes === null ? null : Number(availableBytes),
    pressure: String(pressure),
    ...deviceOf(device),
  };
}

/** Rows of the first version have nothing of it. */
function deviceOf([celsius, throttled, loadCost]: readonly unknown[]): Partial<
  Explanation['memory'] & object
> {
  if (loadCost === undefined) return {};
  return {
    temperatureCelsius: celsius === null ? null : Number(celsius),
    throttled: Array.isArray(throttled) ? throttled.map(String) : null,
    loadCost: Number(loadCost),
  };
}

function policiesOf(text: string): PolicyNames {
  const names = decode(text);
  if (typeof names !== 'object' || names === null) return unreadable();
  const { router, residency, combiner } = names as Record<string, unknown>;
  if (!Array.isArray(router)) return unreadable();
  return { router: router.map(String), residency: String(residency), combiner: String(combiner) };
}

function unreadable(): never {
  throw new AgentError('bad_encoding', 'A row of the decision log is damaged.');
}
