/** From an entry of the log to the rows that keep it. Pure but for the live requests, which it follows. */
import { encode } from '../codec.ts';
import type { Event } from '../events.ts';
import type { LogEntry } from '../ports.ts';
import type { ExpertId, RequestId, State } from '../types.ts';
import { type Concern, type Live, type LiveRequests, leasesEndedBy } from './requests.ts';

export interface EventRow {
  readonly sequence: number;
  readonly atMs: number;
  readonly body: string;
  readonly request: number | null;
  readonly reasons: string | null;
  readonly steps: string | null;
  readonly choice: string | null;
  readonly residency: string | null;
  readonly memory: string | null;
  readonly askedSha256: string | null;
  readonly askedChars: number | null;
  readonly askedText: string | null;
}

/** A new row of `choices`. */
export interface ChoiceRow {
  readonly sequence: number;
  readonly request: number | null;
  readonly requestId: RequestId;
  readonly expert: ExpertId | null;
  readonly router: string | null;
  readonly confidence: number | null;
}

/** How a request ended: it goes into the row of its choice. */
export interface Ending {
  readonly choice: number;
  readonly sequence: number;
  readonly ok: boolean;
  readonly totalMs: number;
}

export interface Recorded {
  readonly event: EventRow;
  readonly chosen: ChoiceRow | null;
  readonly endings: readonly Ending[];
  /** Sequence numbers of the requests whose story this row belongs to. */
  readonly story: readonly number[];
  /** Experts that changed their state. */
  readonly moved: readonly ExpertId[];
  /** Names of the policies, where the event sets them. */
  readonly policies: string | null;
}

/** Counts what is charged against the budget; the core's `committedBytes`. */
export type CountBytes = (state: State) => number;

/** The rows of one entry. Throws AgentError `not_encodable` for values that the codec refuses. */
export function record(
  entry: LogEntry,
  sequence: number,
  live: LiveRequests,
  committedBytes: CountBytes,
): Recorded {
  const { before, event, decision } = entry;
  const concerns = live.follow(entry, sequence);
  const touched = touchedExperts(entry);
  return {
    event: eventRow(entry, sequence, concerns[0]?.request.sequence ?? null, touched, committedBytes),
    chosen: choiceRow(entry, sequence, concerns),
    endings: endingsOf(entry, sequence, concerns),
    story: concerns.filter((concern) => isFurther(concern, sequence)).map(({ request }) => request.sequence),
    moved: touched.filter((id) => stateOf(before, id) !== stateOf(decision.state, id)),
    policies: event.type === 'configured' ? JSON.stringify(event.policies) : null,
  };
}

/** Its first event is found by its key, and its end by its choice: the rest needs a row of `story`. */
function isFurther({ request, endedHere }: Concern, sequence: number): boolean {
  return request.sequence !== sequence && !(endedHere && request.choice !== null);
}

// ---- the event and what was decided ---------------------------------------------------------------------------

function eventRow(
  { before, event, decision, asked }: LogEntry,
  sequence: number,
  request: number | null,
  touched: readonly ExpertId[],
  committedBytes: CountBytes,
): EventRow {
  const { reasons, steps, choice, state } = decision;
  const decided = reasons.length > 0 || steps.length > 0 || choice !== null;
  return {
    sequence,
    atMs: event.atMs,
    body: encode(event),
    request,
    reasons: decided ? JSON.stringify(reasons) : null,
    steps: steps.length > 0 ? encode(steps) : null,
    choice: choice === null ? null : encode(choice),
    residency: decided && touched.length > 0 ? residencyOf(before, state, touched) : null,
    memory: decided ? memoryOf(state, committedBytes) : null,
    askedSha256: asked?.sha256 ?? null,
    askedChars: asked?.chars ?? null,
    askedText: asked?.text ?? null,
  };
}

function residencyOf(before: State, after: State, experts: readonly ExpertId[]): string {
  return JSON.stringify(
    Object.fromEntries(experts.map((id) => [id, [stateOf(before, id), stateOf(after, id)]])),
  );
}

function memoryOf(state: State, committedBytes: CountBytes): string {
  const { level, why } = state.pressure;
  const pressure = level === 'ok' ? level : `${level}: ${why}`;
  const available = state.sample?.availableBytes ?? null;
  const device = state.sample?.device ?? null;
  return JSON.stringify([
    state.settings.budgetBytes,
    committedBytes(state),
    available,
    pressure,
    device?.thermal?.celsius ?? null,
    device?.throttle?.now ?? null,
    state.loadCost.factor,
  ]);
}

function stateOf(state: State, expert: ExpertId): string {
  return state.experts.get(expert)?.residency.state ?? 'not installed';
}

/** The experts that an entry is about: chosen, considered, named by the event or a step, or in a cell that ended. */
function touchedExperts({ before, event, decision }: LogEntry): readonly ExpertId[] {
  const touched = new Set<ExpertId>();
  if (decision.choice?.expert != null) touched.add(decision.choice.expert);
  for (const { expert } of decision.choice?.candidates ?? []) touched.add(expert);
  if ('expert' in event) touched.add(typeof event.expert === 'string' ? event.expert : event.expert.id);
  for (const lease of leasesEndedBy(before, event)) touched.add(lease.expert);
  for (const step of decision.steps) if ('expert' in step) touched.add(step.expert);
  for (const id of hostedBy(before, event, decision.steps)) touched.add(id);
  return [...touched];
}

/** Experts in a cell that ended or is stopped. */
function hostedBy(before: State, event: Event, steps: LogEntry['decision']['steps']): ExpertId[] {
  const cells = new Set<string>();
  if (event.type === 'cellExited') cells.add(event.cell);
  for (const step of steps) if (step.type === 'stop') cells.add(step.cell);
  if (cells.size === 0) return [];
  return [...before.experts.values()]
    .filter(({ residency }) => 'cell' in residency && cells.has(residency.cell))
    .map(({ expert }) => expert.id);
}

// ---- choices and outcomes -------------------------------------------------------------------------------------

/** The choice of this entry; or a request that ended before any choice, which belongs in the list as well. */
function choiceRow(
  { event, decision }: LogEntry,
  sequence: number,
  concerns: readonly Concern[],
): ChoiceRow | null {
  const { choice } = decision;
  const concern = concerns.find(({ chosenHere }) => chosenHere);
  const request = concern?.request.sequence ?? null;
  if (choice !== null) {
    const { request: requestId, expert, router, confidence } = choice;
    return { sequence, request, requestId, expert, router, confidence };
  }
  if (concern === undefined) return null;
  const expert = event.type === 'request' ? event.model : null;
  return { sequence, request, requestId: concern.request.id, expert, router: null, confidence: null };
}

function endingsOf(entry: LogEntry, sequence: number, concerns: readonly Concern[]): Ending[] {
  return concerns.flatMap(({ request, chosenHere, endedHere }) => {
    const choice = chosenHere ? sequence : request.choice;
    return endedHere && choice !== null ? [{ choice, sequence, ...outcomeOf(entry, request) }] : [];
  });
}

/** Answered and abstained are good ends; refused, gone and broken off are not. */
function outcomeOf(
  { before, event, decision }: LogEntry,
  { id, sinceMs }: Live,
): { ok: boolean; totalMs: number } {
  const elapsedMs = event.atMs - sinceMs;
  if (event.type === 'released' && before.leases.get(event.lease)?.request === id) {
    return { ok: event.outcome.ok, totalMs: event.outcome.stages['total'] ?? elapsedMs };
  }
  const abstained = decision.steps.some((step) => step.type === 'abstain' && step.request === id);
  return { ok: abstained, totalMs: elapsedMs };
}
