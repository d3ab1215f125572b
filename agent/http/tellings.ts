/** What `/expertd/v1/events` tells: projections of what the service knows, without texts of requests. */
import type { DecisionRow, DecisionTold, ExpertView, Health, Service, StateView } from '../service.ts';
import type { Failure, Step } from '../types.ts';
import { frame } from './sse.ts';

/** A decision on the wire. The explanation of its number has the candidates and the texts of failures. */
export interface ToldDecision {
  readonly id: number;
  readonly atMs: number;
  /** Type of the event that was decided on; null where it comes from the log, which lists choices by their number. */
  readonly event: DecisionTold['event'] | null;
  readonly reasons: readonly string[];
  readonly choice: {
    readonly request: string | null;
    readonly expert: string | null;
    readonly confidence: number | null;
    readonly router: string | null;
  } | null;
  readonly steps: readonly ToldStep[];
}

/** A step with the names that it has: see `Step`. */
export interface ToldStep {
  readonly type: Step['type'];
  readonly expert?: string;
  readonly cell?: string;
  readonly request?: string;
  /** Of a refusal: its failure's code, and when to come back. */
  readonly code?: string;
  readonly retryAfterMs?: number | null;
}

/** What `state` holds: what `/expertd/v1/state` answers, and the experts without the shapes of their graphs. */
export type ToldState = StateView & { readonly health: Health; readonly experts: readonly ToldExpert[] };
export type ToldExpert = Omit<ExpertView, 'graph'>;

/** A fetch under way, or how it ended: then `state` is that of the expert, and `progress` is null. */
export interface ToldProgress {
  readonly expert: string;
  readonly version: string | null;
  readonly state: ExpertView['state'];
  /** 0 to 1; null where the size is not known. */
  readonly progress: number | null;
  readonly error: Failure | null;
}

/** False for a look at the device, or a tick, that nothing followed from: most events of an idle agent. */
export function isWorthTelling({ reasons, choice, steps }: DecisionTold): boolean {
  return reasons.length > 0 || choice !== null || steps.length > 0;
}

export function decisionFrame({ id, atMs, event, reasons, choice, steps }: DecisionTold): string {
  const chosen =
    choice === null
      ? null
      : {
          request: choice.request,
          expert: choice.expert,
          confidence: choice.confidence,
          router: choice.router,
        };
  const told: ToldDecision = { id, atMs, event, reasons, choice: chosen, steps: steps.map(withoutTexts) };
  return frame('decision', told, id);
}

/** A choice out of the log, for a client that missed it. */
export function rowFrame({ id, atMs, request, expert, confidence, router, reasons }: DecisionRow): string {
  const choice = { request, expert, confidence, router };
  const told: ToldDecision = { id, atMs, event: null, reasons, choice, steps: [] };
  return frame('decision', told, id);
}

export function stateOf(service: Service): ToldState {
  const experts = service.experts().map(({ graph, ...expert }) => expert);
  return { ...service.state(), health: service.health(), experts };
}

/** Equal for two states that differ in nothing but the time that passed. */
export function fingerprint({ health, ...state }: ToldState): string {
  return JSON.stringify([state, health.live, health.ready, health.version, health.problems]);
}

/** What is new of fetches since `before`, which maps the experts being fetched to what was told of them. */
export function progressSince(
  before: ReadonlyMap<string, string>,
  experts: readonly ToldExpert[],
): { readonly told: readonly ToldProgress[]; readonly now: ReadonlyMap<string, string> } {
  const told: ToldProgress[] = [];
  const now = new Map<string, string>();
  for (const { id, version, state, progress, error } of experts) {
    const fetching = state === 'fetching';
    const telling: ToldProgress = { expert: id, version, state, progress: fetching ? progress : null, error };
    const text = JSON.stringify(telling);
    if (fetching) now.set(id, text);
    if (fetching ? before.get(id) !== text : before.has(id)) told.push(telling);
  }
  return { told, now };
}

/** A refusal's sentence may quote what was asked for; its code does not. */
function withoutTexts(step: Step): ToldStep {
  if (step.type !== 'reject') return step;
  const { type, request, failure, retryAfterMs } = step;
  return { type, request, code: failure.code, retryAfterMs };
}
