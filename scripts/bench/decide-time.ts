/** How long `decide` takes with many installed experts: the two events of a request that is routed by meaning. */
import { loadConfig } from '../../agent/configuration.ts';
import { decide, initialState } from '../../agent/decide.ts';
import type { Event } from '../../agent/events.ts';
import { perceive } from '../../agent/perception.ts';
import type { Policy } from '../../agent/policy.ts';
import { policyNamesOf, settingsOf } from '../../agent/settings.ts';
import type { Expert, State } from '../../agent/types.ts';
import { policyOf } from '../../policies/index.ts';
import { sentence } from './texts.ts';

const DIMENSIONS = 384;
const MB = 1_000_000;

export interface DecideTimes {
  /** One value a request, in ms. */
  readonly requestMs: readonly number[];
  readonly featuresMs: readonly number[];
}

export function timeDecide(experts: number, warmUp: number, requests: number): DecideTimes {
  const config = loadConfig({ path: null, overrides: { memory: { budget: '4GB' } } });
  const policy = policyOf(policyNamesOf(config));
  const device = { availableBytes: null, totalBytes: null, limitBytes: null };
  let state = install(initialState(settingsOf(config, device), 60 * MB), policy, experts);
  const times = { requestMs: [] as number[], featuresMs: [] as number[] };
  for (let index = 0; index < warmUp + requests; index++) {
    const run = routeOne(state, policy, index);
    state = run.state;
    if (index < warmUp) continue;
    times.requestMs.push(run.requestMs);
    times.featuresMs.push(run.featuresMs);
  }
  return times;
}

/** The embedder is resident and so is the expert that wins: nothing but the choice is timed. */
function install(empty: State, policy: Policy, experts: number): State {
  const step = (state: State, event: Event) => decide(state, event, policy).state;
  let state = step(empty, { type: 'installed', atMs: 1, expert: expert('embedder', []) });
  for (let index = 0; index < experts; index++) {
    state = step(state, { type: 'installed', atMs: 1, expert: expert(`expert-${index}`, [vector(index)]) });
  }
  for (const id of ['embedder', 'expert-0']) state = makeResident(state, policy, id);
  return state;
}

function makeResident(state: State, policy: Policy, id: string): State {
  const asked = decide(state, { type: 'command', atMs: 1, command: 'load', expert: id }, policy);
  const load = [...asked.state.experts.values()].find(({ expert }) => expert.id === id)?.residency;
  if (load?.state !== 'loading') throw new Error(`${id} does not load: ${asked.reasons.join('; ')}`);
  const report = { beforeBytes: 40 * MB, afterBytes: 60 * MB, peakBytes: 25 * MB, loadMs: 100 };
  const event: Event = { type: 'loaded', atMs: 1, expert: id, cell: load.cell, report };
  return decide(asked.state, event, policy).state;
}

function routeOne(before: State, policy: Policy, index: number) {
  const atMs = 10 + index;
  const request = `request-${index}`;
  const features = perceive(sentence(index));
  const asked: Event = {
    type: 'request',
    atMs,
    request,
    want: 'chat',
    model: null,
    features,
    waitMs: null,
    keepAliveMs: null,
  };
  const startMs = performance.now();
  const first = decide(before, asked, policy);
  const middleMs = performance.now();
  const embed = first.steps.find((step) => step.type === 'embed');
  if (embed === undefined) throw new Error(`no embedding was asked for: ${first.reasons.join('; ')}`);
  const known: Event = {
    type: 'features',
    atMs,
    request,
    lease: embed.lease,
    language: null,
    embedding: vector(0),
    error: null,
  };
  const chosenMs = performance.now();
  const second = decide(first.state, known, policy);
  const endMs = performance.now();
  const grant = second.steps.find((step) => step.type === 'grant');
  if (grant === undefined) throw new Error(`nobody was chosen: ${second.reasons.join('; ')}`);
  const released: Event = {
    type: 'released',
    atMs,
    lease: grant.lease,
    outcome: { ok: true, error: null, stages: {}, keptBytes: 0, sources: 0 },
  };
  return {
    requestMs: middleMs - startMs,
    featuresMs: endMs - chosenMs,
    state: decide(second.state, released, policy).state,
  };
}

function expert(id: string, prototypes: readonly Int8Array[]): Expert {
  return {
    id,
    version: '1.0.0',
    digest: id,
    task: id === 'embedder' ? 'feature-extraction' : 'text-classification',
    lane: 'fast',
    isolation: 'shared',
    memory: { residentBytes: 20 * MB, loadBytes: 25 * MB, loadMs: 100, measured: true },
    weightBytes: 1_000_000,
    cacheBytes: 0,
    marginBytes: 0,
    fallback: null,
    parkable: false,
    needsEmbedding: false,
    assistant: null,
    pinned: false,
    candidateOf: null,
    routing: { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes },
  };
}

/** A unit vector times 127 in a direction of its own: a fixed pseudo-random sequence (Numerical Recipes' LCG). */
function vector(seed: number): Int8Array {
  let word = (seed + 1) * 2_654_435_761;
  const numbers = Array.from({ length: DIMENSIONS }, () => {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    return word / 2 ** 31 - 1;
  });
  const length = Math.hypot(...numbers);
  return Int8Array.from(numbers, (number) => Math.round((127 * number) / length));
}
