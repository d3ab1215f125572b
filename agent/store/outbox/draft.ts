/**
 * From an entry of the log to the record that a fleet gets of it. Pure.
 *
 * A fleet gets what was chosen, done, answered and changed: rows with a choice or a step, ends of requests, experts that
 * changed their state, orders by hand and settings. It does not get samples, ticks and the questions to the embedder
 * that precede a choice (`embed`, `learn`), unless something was decided on them: they are most of the rows and say
 * nothing that the next row does not say.
 */

import type { Event, Outcome } from '../../events.ts';
import type { FleetChoice, FleetOutcome, FleetRecord } from '../../outbox.ts';
import type { LogEntry } from '../../ports.ts';
import type { Choice, ExpertId, Step } from '../../types.ts';
import type { Recorded } from '../record.ts';

/** What only the moment of the append knows. */
export interface Moment {
  /** Milliseconds since the event. */
  readonly lagMs: number;
  readonly wallMs: number;
  readonly monotonicMs: number;
  readonly synced: boolean;
}

/** Names come from outside and from packages; a record of theirs stays below some 4 kB. */
const maxNameChars = 128;
const maxReasons = 6;
const maxReasonChars = 240;
const maxListed = 16;
const maxCandidates = 3;

/** Steps that only prepare a choice. */
const preparing: ReadonlySet<Step['type']> = new Set(['embed', 'learn', 'route']);

const telling: ReadonlySet<Event['type']> = new Set([
  'configured',
  'installed',
  'removed',
  'command',
  'ordered',
  'loaded',
  'loadFailed',
  'unloaded',
  'unloadFailed',
  'parked',
  'parkFailed',
  'cellExited',
]);

/** Whether a fleet gets to see an entry. */
export function concernsFleet({ before, event, decision }: LogEntry): boolean {
  const { choice, steps, state } = decision;
  if (choice !== null || telling.has(event.type)) return true;
  if (steps.some(({ type }) => !preparing.has(type))) return true;
  if (event.type === 'released' && before.leases.get(event.lease)?.purpose === 'answer') return true;
  return event.type === 'hungUp' && before.requests.has(event.request) && !state.requests.has(event.request);
}

/** The record of an entry, but for its number. */
export function draft(entry: LogEntry, recorded: Recorded, moment: Moment): Omit<FleetRecord, 'seq'> {
  const { event, decision } = entry;
  const request = requestOf(entry, recorded);
  const expert = expertOf(entry);
  const outcome = outcomeOf(event, recorded);
  const error = errorOf(event);
  const moved = movedIn(entry, recorded.moved);
  const steps = decision.steps.filter(({ type }) => !preparing.has(type)).map(summary);
  return {
    row: recorded.event.sequence,
    wallMs: Math.round(moment.wallMs - moment.lagMs),
    monotonicMs: Math.round(moment.monotonicMs - moment.lagMs),
    clock: moment.synced ? 'synced' : 'unsynced',
    event: event.type === 'command' ? `command ${event.command}` : event.type,
    ...(request === null ? {} : { request: clip(request, maxNameChars) }),
    ...(expert === null ? {} : { expert }),
    ...(decision.choice === null ? {} : { choice: choiceOf(decision.choice) }),
    ...(outcome === null ? {} : { outcome }),
    ...(error === null ? {} : { error }),
    ...(steps.length === 0 ? {} : { steps: steps.slice(0, maxListed) }),
    ...(moved === null ? {} : { moved }),
    ...(decision.reasons.length === 0 ? {} : { reasons: clipped(decision.reasons) }),
  };
}

function requestOf({ before, event, decision }: LogEntry, { chosen }: Recorded): string | null {
  if (chosen !== null) return chosen.requestId;
  if ('request' in event) return event.request;
  if ('lease' in event && event.lease !== null) return before.leases.get(event.lease)?.request ?? null;
  const step = decision.steps.find((one) => 'request' in one);
  return step !== undefined && 'request' in step ? step.request : null;
}

function expertOf({ before, event, decision }: LogEntry): ExpertId | null {
  if (decision.choice !== null) return decision.choice.expert;
  if ('expert' in event) return typeof event.expert === 'string' ? event.expert : event.expert.id;
  if ('lease' in event && event.lease !== null) return before.leases.get(event.lease)?.expert ?? null;
  return null;
}

function choiceOf(choice: Choice): FleetChoice {
  const { expert, router, confidence, candidates, residency, predictedLoadMs, language } = choice;
  return {
    expert,
    router,
    confidence: confidence === null ? null : digits(confidence),
    candidates: candidates
      .slice(0, maxCandidates)
      .map((one) => [one.expert, digits(one.confidence), digits(one.score)]),
    residency,
    predictedLoadMs: Math.round(predictedLoadMs),
    language,
  };
}

/** The end of the request; or of a lease whose request goes on, as it does behind an assistant's search. */
function outcomeOf(event: Event, { endings }: Recorded): FleetOutcome | null {
  const [ending] = endings;
  if (event.type === 'released') {
    const { ok, stages } = event.outcome;
    const totalMs = ending?.totalMs ?? stages['total'] ?? 0;
    return { ok, totalMs: digits(totalMs), ...stagesOf(event.outcome) };
  }
  return ending === undefined ? null : { ok: ending.ok, totalMs: digits(ending.totalMs) };
}

function stagesOf({ stages }: Outcome): { readonly stages?: Readonly<Record<string, number>> } {
  const entries = Object.entries(stages).slice(0, maxListed);
  if (entries.length === 0) return {};
  return { stages: Object.fromEntries(entries.map(([stage, ms]) => [stage, digits(ms)])) };
}

/** The code only: a message may quote what was asked. */
function errorOf(event: Event): string | null {
  if (event.type === 'released') return event.outcome.error?.code ?? null;
  if ('error' in event) return event.error?.code ?? null;
  return event.type === 'cellExited' ? 'cell_exited' : null;
}

function movedIn(
  { before, decision }: LogEntry,
  moved: readonly ExpertId[],
): NonNullable<FleetRecord['moved']> | null {
  if (moved.length === 0) return null;
  const stateIn = (state: LogEntry['before'], id: ExpertId): string =>
    state.experts.get(id)?.residency.state ?? 'not installed';
  return moved.slice(0, maxListed).map((id) => [id, stateIn(before, id), stateIn(decision.state, id)]);
}

function summary(step: Step): string {
  switch (step.type) {
    case 'reject':
      return `reject ${step.failure.code}`;
    case 'fallback':
      return `fallback ${step.failure.code}`;
    case 'stop':
      return `${step.kill ? 'kill' : 'stop'} ${step.cell}`;
    case 'cancel':
      return `cancel ${step.lease}`;
    case 'abstain':
    case 'route':
      return step.type;
    default:
      return `${step.type} ${step.expert}`;
  }
}

function clipped(reasons: readonly string[]): readonly string[] {
  return reasons.slice(0, maxReasons).map((reason) => clip(reason, maxReasonChars));
}

/** Half a surrogate pair is no text that a receiver must take. */
function clip(text: string, maxChars: number): string {
  return text.slice(0, maxChars).toWellFormed();
}

/** Four significant digits are more than any of these numbers means. JSON has no word for what is not finite. */
function digits(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) : 0;
}
