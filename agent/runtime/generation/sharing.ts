/** Whether a graph can keep its cache in place. No declaration says so: a few tokens are put through it both ways. */
import type { Manifest } from '../../catalog/manifest.ts';
import { plainMessage } from '../failure.ts';
import { badExpert } from '../graph.ts';
import type { Sequence } from './model.ts';

/**
 * `growing`: each step makes a new cache, one step longer; every export can do that. `shared`: keys and values are
 * written behind the others in one buffer with room at its end, as GroupQueryAttention does where the past and the
 * present are one tensor. At 512 tokens of a 135M model a step took 20 ms so, and 30 ms with a growing cache.
 */
export type CacheKind = 'shared' | 'growing';

/** Two kinds of cache agree if their logits differ by less than this share of the largest. */
const TOLERANCE = 1e-3;
/** Any text: first a step of several tokens, then one of one. */
const PROBE = [[1, 2, 3], [1]];

export interface Probed {
  readonly cache: CacheKind;
  /** Number of logits a token. */
  readonly vocabulary: number;
}

/**
 * Chooses the shared cache if it gives the same logits. Rejects with `bad_expert` for a graph that fails, and one whose
 * logits are not numbers.
 */
export async function probe(manifest: Manifest, begin: (cache: CacheKind) => Sequence): Promise<Probed> {
  const expected = await say(begin('growing')).catch((cause: unknown) => {
    throw badExpert(manifest, `its first run failed: ${plainMessage(cause)}`);
  });
  if (expected.some((logit) => Number.isNaN(logit) || logit === Number.POSITIVE_INFINITY)) {
    throw badExpert(manifest, 'its first run gave logits that are not numbers');
  }
  // A graph that cannot share its cache refuses the buffers or computes nonsense: both are an answer here.
  const shared = await say(begin('shared')).catch(() => null);
  const cache = shared !== null && areClose(expected, shared) ? 'shared' : 'growing';
  return { cache, vocabulary: expected.length };
}

/** Logits after the last token of `PROBE`. */
async function say(sequence: Sequence): Promise<Float32Array> {
  try {
    let logits = new Float32Array();
    for (const ids of PROBE) logits = Float32Array.from(await sequence.predict(ids));
    return logits;
  } finally {
    sequence.release();
  }
}

function areClose(left: Float32Array, right: Float32Array): boolean {
  const largest = left.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    left.length === right.length &&
    left.every((value, at) => Math.abs(value - (right[at] ?? Number.NaN)) <= TOLERANCE * largest)
  );
}
