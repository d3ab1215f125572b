/** From the configuration and the device to the numbers that steer `decide`. */
import { parseBytes } from './bytes.ts';
import type { Config } from './config.ts';
import type { PolicyNames, Settings } from './tuning.ts';

/** Share of what the device has left that expertd takes when nobody says how much it may have. */
const BUDGET_SHARE = 0.6;
/** Below this share of all memory (within the bounds) available memory is low. */
const LOW_SHARE = 0.05;
const LOW_BOUNDS = [48 * 1024 ** 2, 512 * 1024 ** 2] as const;
/** Taken where a device tells nothing about its memory. */
const BLIND_BUDGET_BYTES = 300 * 1024 ** 2;

export interface DeviceMemory {
  readonly availableBytes: number | null;
  readonly totalBytes: number | null;
  /** The tightest memory limit of the control groups this process is in. */
  readonly limitBytes: number | null;
}

export function settingsOf(config: Config, device: DeviceMemory): Settings {
  const { memory, limits, policies } = config;
  return {
    budgetBytes:
      memory.budget === undefined ? defaultBudget(device) : parseBytes(memory.budget, 'memory.budget'),
    embedder: config.embedder,
    generalist: config.generalist,
    loadWaitMs: limits.loadWaitMs,
    loadDeadlineMs: limits.loadDeadlineMs,
    runDeadlineMs: { fast: limits.fastDeadlineMs, heavy: limits.heavyDeadlineMs },
    cancelGraceMs: 2_000,
    idleMs: limits.idleMs,
    cellIdleMs: 30_000,
    maxQueue: limits.maxQueue,
    maxCells: { fast: 2, heavy: 2 },
    cellConcurrency: { fast: 8, heavy: 2 },
    cellBaseBytes: 48 * 1024 ** 2,
    availableLowBytes:
      memory.availableLow === undefined
        ? defaultLow(device)
        : parseBytes(memory.availableLow, 'memory.availableLow'),
    psiSomeHigh: memory.psiSomeHigh,
    psiFullHigh: memory.psiFullHigh,
    crashLimit: 3,
    crashWindowMs: 600_000,
    backoffMs: 500,
    minScore: policies.minScore,
    tieMargin: policies.tieMargin,
  };
}

export function policyNamesOf({ policies }: Config): PolicyNames {
  return { router: policies.router, residency: policies.residency, combiner: policies.combiner };
}

/** 60 % of the smaller of what is available and what the control group allows. */
function defaultBudget({ availableBytes, limitBytes }: DeviceMemory): number {
  const room = Math.min(availableBytes ?? Number.POSITIVE_INFINITY, limitBytes ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(room) ? Math.floor(room * BUDGET_SHARE) : BLIND_BUDGET_BYTES;
}

function defaultLow({ totalBytes, limitBytes }: DeviceMemory): number {
  const all = Math.min(totalBytes ?? Number.POSITIVE_INFINITY, limitBytes ?? Number.POSITIVE_INFINITY);
  if (!Number.isFinite(all)) return LOW_BOUNDS[0];
  return Math.floor(Math.min(Math.max(all * LOW_SHARE, LOW_BOUNDS[0]), LOW_BOUNDS[1]));
}
