/** From the configuration and the device to the numbers that steer `decide`. */
import { parseBytes } from './bytes.ts';
import type { Config } from './config.ts';
import { AgentError } from './errors.ts';
import type { PolicyNames, Settings } from './tuning.ts';

/** Share of what the device has left that expertd takes when nobody says how much it may have. */
const BUDGET_SHARE = 0.6;
/** Below this share of all memory (within the bounds) available memory is low. */
const LOW_SHARE = 0.05;
const LOW_BOUNDS = [48 * 1024 ** 2, 512 * 1024 ** 2] as const;
/** Taken where a device tells nothing about its memory. */
const BLIND_BUDGET_BYTES = 300 * 1024 ** 2;
/** The agent alone takes about as much, before any expert. */
export const AGENT_BYTES = 80 * 1024 ** 2;

export interface DeviceMemory {
  readonly availableBytes: number | null;
  readonly totalBytes: number | null;
  /** The tightest memory limit of the control groups this process is in. */
  readonly limitBytes: number | null;
}

/** Throws AgentError `bad_config` where the budget is too small for the agent itself. */
export function settingsOf(config: Config, device: DeviceMemory): Settings {
  const { memory, limits, policies } = config;
  return {
    budgetBytes: budgetOf(config, device),
    embedder: config.embedder,
    languageDetector: config.languageDetector,
    generalist: config.generalist,
    loadWaitMs: limits.loadWaitMs,
    loadDeadlineMs: limits.loadDeadlineMs,
    runDeadlineMs: { fast: limits.fastDeadlineMs, heavy: limits.heavyDeadlineMs },
    cancelGraceMs: 2_000,
    idleMs: limits.idleMs,
    cellIdleMs: 30_000,
    parking: memory.parking,
    prefetch: memory.prefetch,
    swapDelayMs: limits.swapDelayMs,
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

function budgetOf({ memory: { budget } }: Config, device: DeviceMemory): number {
  const bytes = budget === undefined ? defaultBudget(device) : parseBytes(budget, 'memory.budget');
  if (bytes >= AGENT_BYTES) return bytes;
  const share = `${BUDGET_SHARE * 100} % of what this device, or its control group, has left`;
  const what = budget === undefined ? `memory.budget is not set, and ${share} is` : 'memory.budget is';
  throw new AgentError(
    'bad_config',
    `${what} ${megabytes(bytes)}: less than the ${megabytes(AGENT_BYTES)} that expertd takes itself, before any expert`,
    { hint: 'Set it to what expertd may take in all, as 300MB (--budget, EXPERTD_MEMORY_BUDGET).' },
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
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

/** Parts of the configuration that differ and are read at the start only. */
export function changesAtStart(before: Config, after: Config): string[] {
  const fixed = ({ http, stateDir, expertsDir, fleet, log: { maxRows, maxBytes, syncMs } }: Config) => ({
    http,
    stateDir,
    expertsDir,
    fleet,
    log: { maxRows, maxBytes, syncMs },
  });
  const [was, is] = [fixed(before), fixed(after)];
  return (['http', 'stateDir', 'expertsDir', 'fleet', 'log'] as const).filter(
    (key) => JSON.stringify(was[key]) !== JSON.stringify(is[key]),
  );
}
