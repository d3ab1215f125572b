/** Values for tests of the core: experts, settings, features, all with defaults that a test overrides. */
import type { PolicyNames, Settings } from '../../agent/tuning.ts';
import type { Expert, Features } from '../../agent/types.ts';

export const MB = 1_048_576;

export const names: PolicyNames = { router: ['rules', 'nearest'], residency: 'gdsf', combiner: 'best' };

export function settings(change: Partial<Settings> = {}): Settings {
  return {
    budgetBytes: 300 * MB,
    embedder: null,
    languageDetector: null,
    generalist: null,
    loadWaitMs: 30_000,
    loadDeadlineMs: 120_000,
    runDeadlineMs: { fast: 10_000, heavy: 300_000 },
    cancelGraceMs: 2_000,
    idleMs: 900_000,
    cellIdleMs: 30_000,
    parking: true,
    prefetch: false,
    swapDelayMs: 0,
    maxQueue: 512,
    maxCells: { fast: 2, heavy: 2 },
    cellConcurrency: { fast: 8, heavy: 2 },
    cellBaseBytes: 40 * MB,
    availableLowBytes: 50 * MB,
    psiSomeHigh: 20,
    psiFullHigh: 5,
    crashLimit: 3,
    crashWindowMs: 600_000,
    backoffMs: 1_000,
    minScore: 0.42,
    tieMargin: 0.02,
    ...change,
  };
}

export function expert(
  id: string,
  change: Partial<Expert> & { residentMb?: number; loadMb?: number } = {},
): Expert {
  const { residentMb = 20, loadMb = residentMb, ...rest } = change;
  return {
    id,
    version: '1.0.0',
    digest: `digest-of-${id}`,
    task: 'text-classification',
    lane: 'fast',
    isolation: 'shared',
    memory: { residentBytes: residentMb * MB, loadBytes: loadMb * MB, loadMs: 100, measured: true },
    weightBytes: 1 * MB,
    cacheBytes: 0,
    marginBytes: 0,
    fallback: null,
    parkable: false,
    needsEmbedding: false,
    assistant: null,
    pinned: false,
    candidateOf: null,
    routing: { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes: [] },
    ...rest,
  };
}

export function features(change: Partial<Features> = {}): Features {
  return {
    terms: new Uint32Array(),
    words: new Uint32Array(),
    chars: 10,
    code: false,
    language: null,
    embedding: null,
    ...change,
  };
}

/** A unit vector times 127 that points along one of 8 axes. */
export function axis(index: number): Int8Array {
  const vector = new Int8Array(8);
  vector[index % 8] = 127;
  return vector;
}
