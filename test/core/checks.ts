/** What every state must be, and what steps are called in tests. */
import assert from 'node:assert/strict';
import { leasesIn } from '../../agent/residency.ts';
import type { Failure, State, Step } from '../../agent/types.ts';
import { nextDueMs } from '../../agent/upkeep.ts';

/** `load a`, `unload a`, `grant r1`, `embed r1`, `route r1`, `learn a`, `stop fast-1`. */
export function nameOf(step: Step): string {
  switch (step.type) {
    case 'test':
    case 'rollout':
    case 'load':
    case 'unload':
    case 'trim':
    case 'park':
    case 'chill':
    case 'warm':
      return `${step.type} ${step.expert}`;
    case 'learn':
      return `learn ${step.subject}`;
    case 'stop':
      return `stop ${step.cell}`;
    case 'cancel':
      return `cancel ${step.lease}`;
    default:
      return `${step.type} ${step.request}`;
  }
}

/** Leases are held on residents and end; nothing is due over and over again. */
export function checkState(state: State): void {
  assert.ok(nextDueMs(state) > state.nowMs, 'something is due at once, again and again');
  checkCandidates(state);
  for (const lease of state.leases.values()) {
    assert.equal(
      state.experts.get(lease.expert)?.residency.state,
      'resident',
      'a leased expert is not resident',
    );
    assert.ok(Number.isFinite(lease.deadlineMs));
  }
  for (const request of state.requests.values()) {
    if (request.phase.name === 'leased')
      assert.ok(state.leases.has(request.phase.lease), 'a request holds a lease that ended');
  }
}

/** One candidate an expert at most, beside those that are to leave. */
function checkCandidates({ experts }: State): void {
  const places = new Set<string>();
  for (const { expert, fate } of experts.values()) {
    if (expert.candidateOf === null || fate?.kind === 'remove') continue;
    assert.ok(!places.has(expert.candidateOf), `two candidates for ${expert.candidateOf}`);
    places.add(expert.candidateOf);
  }
}

/** Invariant 5, and what a load may not do. */
export function checkLoad(state: State, load: Extract<Step, { type: 'load' }>, cellRuns: boolean): void {
  assert.equal(leasesIn(state, load.cell), 0, `${load.cell} held a lease when ${load.expert} was loaded`);
  assert.equal(load.fresh, !cellRuns, 'a fresh cell is a new one, and no other is');
  assert.notEqual(state.pressure.level, 'high', 'a load under pressure');
}

/** No request fails because of a rollout: but for whoever names a candidate himself, nobody is told of one. */
export function checkRefusal({ message }: Failure): void {
  assert.doesNotMatch(message, /(?<!^no expert )"[^"]+@/, 'a client was told of a candidate');
}
