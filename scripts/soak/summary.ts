/** The figures of a soak as one JSON document, and its chart. */
import { arch, cpus, totalmem } from 'node:os';
import { quantile } from '../bench/stats.ts';
import { chartOf } from './chart.ts';
import type { Disturber } from './disturber.ts';
import type { Fleet } from './fleet.ts';
import type { Goldens } from './goldens.ts';
import { errorsOf, type LedgerSample } from './ledger.ts';
import type { LimitKind } from './memory-group.ts';
import type { SoakOptions } from './options.ts';
import type { Tally } from './tally.ts';
import { type Trend, trendOf } from './trend.ts';
import { type Criterion, judge, passes } from './verdict.ts';
import type { Seen } from './watch.ts';

/** PSS of the tree at rest, all experts parked that can be. */
export interface Floor {
  readonly swaps: number;
  readonly pssBytes: number;
  readonly resident: number;
  readonly parked: number;
  readonly absent: number;
}

export interface Run {
  readonly options: SoakOptions;
  readonly fleet: Fleet;
  readonly limitKind: LimitKind;
  readonly limitBytes: number;
  readonly budgetBytes: number;
  readonly goldens: Goldens;
  readonly tally: Tally;
  readonly disturber: Disturber;
  readonly ledger: readonly LedgerSample[];
  readonly floors: readonly Floor[];
  readonly seen: readonly Seen[];
  readonly counts: unknown;
  /** Why experts were not parked any more, by id. */
  readonly notParkable: Readonly<Record<string, string>>;
  readonly stories: readonly unknown[];
  readonly workMs: number;
}

export interface Ending {
  /** null: it ended as it was told to. */
  readonly agentEnd: string | null;
  /** null: no group counts them. */
  readonly oomKills: number | null;
  readonly totalMs: number;
}

export interface Summary {
  readonly passed: boolean;
  readonly criteria: readonly Criterion[];
  /** How many were heard, by where the expert was when the request came. */
  readonly answers: Tally['answers'];
  readonly kills: number;
  readonly figures: Readonly<Record<string, unknown>>;
  readonly chart: string;
}

/** Before it, memory is still finding its size. */
const SETTLED_SWAPS = 500;
const MB = 1e6;

export function summaryOf(run: Run & Ending): Summary {
  const { options, tally, ledger, floors, seen, agentEnd } = run;
  const floorTrend = trendAfter(floors);
  const workTrend = trendAfter(seen);
  const criteria = judge({
    swapsWanted: options.swaps,
    swaps: Math.min(tally.swaps, options.swaps),
    wrongAnswers: tally.wrongAnswers,
    failures: tally.failures,
    agentEnded: agentEnd !== null,
    floorTrend,
    workTrend,
    ledgerErrors: errorsOf(ledger, 'expectedBytes'),
  });
  const figures = { ...setting(run), ...happenings(run), memory: memoryOf(run, floorTrend, workTrend) };
  const kills = run.disturber.done.filter(({ kind }) => kind === 'kill').length;
  return { passed: passes(criteria), criteria, answers: tally.answers, kills, figures, chart: chart(run) };
}

function setting(run: Run): Readonly<Record<string, unknown>> {
  const { options, fleet, limitKind, limitBytes, budgetBytes, goldens } = run;
  return {
    seed: options.seed,
    clients: options.clients,
    limit: limitKind,
    limitBytes,
    budgetBytes,
    machine: { cpus: cpus().length, arch: arch(), totalBytes: totalmem(), node: process.version },
    experts: fleet.members.map(({ id, kind, bytes }) => ({ id, kind, bytes })),
    goldenPrompts: [...goldens.byExpert.values()].reduce((sum, all) => sum + all.length, 0),
    unsteadyPrompts: goldens.unsteady,
  };
}

function happenings(run: Run & Ending): Readonly<Record<string, unknown>> {
  const { tally, disturber, agentEnd, oomKills, counts, notParkable, stories, workMs, totalMs } = run;
  const kinds = disturber.done.map(({ kind }) => kind);
  const of = (wanted: string): number => kinds.filter((kind) => kind === wanted).length;
  return {
    swaps: tally.swaps,
    answers: tally.answers,
    firstTokenMs: tally.firstTokens(),
    left: tally.left,
    wrongAnswers: tally.wrongAnswers,
    failures: tally.failures,
    killedOnPurpose: tally.killed,
    deferredUnderPressure: tally.deferred,
    disturbances: {
      kills: of('kill'),
      hogs: of('hog'),
      lowBudgets: of('budget'),
      cleared: disturber.cleared,
    },
    oomKills: { all: oomKills, ofHogs: disturber.hogsKilled, agentEnd },
    counts,
    notParkable,
    wrong: tally.wrong,
    failed: tally.failed,
    stories,
    workSeconds: Math.round(workMs / 1_000),
    totalSeconds: Math.round(totalMs / 1_000),
  };
}

function memoryOf(
  { ledger, floors, seen, budgetBytes }: Run,
  floorTrend: Trend | null,
  workTrend: Trend | null,
): Readonly<Record<string, unknown>> {
  const most = (values: readonly (number | null)[]): number | null => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : known.reduce((a, b) => Math.max(a, b));
  };
  return {
    most: {
      pssBytes: most(seen.map(({ pssBytes }) => pssBytes)),
      groupBytes: most(seen.map(({ usageBytes }) => usageBytes)),
      /** Share of all looks at which the tree was over its full budget. */
      lookedOverBudget:
        seen.filter(({ pssBytes }) => pssBytes > budgetBytes).length / Math.max(1, seen.length),
      groupAnonymousBytes: most(seen.map(({ anonymousBytes }) => anonymousBytes)),
    },
    trendMbPer1000Swaps: { allParked: floorTrend, atWork: workTrend },
    floors,
    quietSamples: ledger.length,
    ledgerErrors: {
      expected: spread(errorsOf(ledger, 'expectedBytes')),
      charged: spread(errorsOf(ledger, 'chargedBytes')),
      measured: spread(errorsOf(ledger, 'measuredBytes')),
    },
    worstLedger: [...ledger].sort((a, b) => errorOf(b) - errorOf(a)).slice(0, 5),
  };
}

function errorOf({ expectedBytes, truthBytes }: LedgerSample): number {
  return expectedBytes === null ? 0 : Math.abs(expectedBytes - truthBytes) / truthBytes;
}

function spread(errors: readonly number[]): { median: number; p99: number } | null {
  return errors.length === 0 ? null : { median: quantile(errors, 0.5), p99: quantile(errors, 0.99) };
}

/** MB for 1,000 swaps; null where too few came after memory had found its size. */
function trendAfter(seen: readonly { readonly swaps: number; readonly pssBytes: number }[]): Trend | null {
  const settled = seen.filter(({ swaps }) => swaps >= SETTLED_SWAPS);
  if ((settled.at(-1)?.swaps ?? 0) < 2 * SETTLED_SWAPS) return null;
  return trendOf(settled.map(({ swaps, pssBytes }) => ({ x: swaps / 1_000, y: pssBytes / MB })));
}

function chart({ seen, floors, budgetBytes, limitBytes, limitKind, disturber, options }: Run): string {
  const last = seen.at(-1)?.swaps ?? 1;
  const level = (bytes: number) => [
    { x: 0, y: bytes / MB },
    { x: last, y: bytes / MB },
  ];
  const points = (all: readonly { swaps: number; pssBytes: number }[]) =>
    all.map(({ swaps, pssBytes }) => ({ x: swaps, y: pssBytes / MB }));
  const lines = [
    { name: 'PSS', colour: '#06c', points: points(seen) },
    { name: 'PSS, all parked', colour: '#080', points: points(floors) },
    { name: 'budget', colour: '#888', points: level(budgetBytes) },
    { name: `limit (${limitKind})`, colour: '#c00', points: level(limitBytes) },
  ];
  const title = `Memory of agent and cells over swaps, seed ${options.seed}; red marks: kills, pressure`;
  return chartOf(
    title,
    'MB',
    lines,
    disturber.done.map(({ atSwap }) => atSwap),
  );
}
