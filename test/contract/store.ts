/** What every store does, the real one and the fake: see test/store/contract.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log, Memory } from '../../agent/ports.ts';
import type { Records } from '../../agent/store/store.ts';
import {
  absent,
  choiceOf,
  committedBytes,
  grant,
  loading,
  requestEvent,
  requestOf,
  resident,
  Story,
  stateOf,
} from '../store/made.ts';

export interface Subject {
  readonly store: Log & Memory & Records & { flush(): Promise<void> };
  close(): Promise<void>;
}

const all = { limit: 100, before: null, expert: null };

export function storeContract(name: string, open: () => Subject): void {
  const check = (what: string, body: (subject: Subject['store']) => void | Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const subject = open();
      try {
        await body(subject.store);
      } finally {
        await subject.close();
      }
    });
  };

  check('numbers rise by one from 1, and an empty batch takes none', (store) => {
    const { entries } = new Story(stateOf()).granted('r1').released('r1').sample();
    assert.deepEqual(store.append(entries), [1, 2, 3]);
    assert.deepEqual(store.append([]), []);
    assert.deepEqual(store.append(entries.slice(2)), [4]);
    assert.equal(store.health().lastSequence, 4);
  });

  check('synced moves to what was recorded when the disk has it', async (store) => {
    assert.equal(store.synced(), 0);
    store.append(new Story(stateOf()).granted('r1').entries);
    assert.equal(store.synced(), 0);
    await store.flush();
    assert.equal(store.synced(), 1);
    assert.deepEqual(store.health(), {
      state: 'ok',
      reason: null,
      lastSequence: 1,
      syncedSequence: 1,
      dropped: 0,
    });
  });

  check('lists choices newest first, by page and by expert', (store) => {
    const story = new Story(stateOf({ embedder: resident, medical: resident }));
    story.granted('r1').granted('r2', 'medical').granted('r3').released('r2');
    store.append(story.entries);
    const ids = (query: object): number[] => store.decisions({ ...all, ...query }).map(({ id }) => id);
    assert.deepEqual(ids({}), [3, 2, 1]);
    assert.deepEqual(ids({ limit: 2 }), [3, 2]);
    assert.deepEqual(ids({ before: 2 }), [1]);
    assert.deepEqual(ids({ expert: 'embedder' }), [3, 1]);
    assert.deepEqual(ids({ expert: 'nobody' }), []);
  });

  check('a choice in the list has the outcome of its request once there is one', (store) => {
    const story = new Story(stateOf()).configured().granted('r1');
    store.append(story.entries);
    const row = {
      id: 2,
      atMs: 1_000_000,
      request: 'r1',
      expert: 'embedder',
      confidence: 0.9,
      router: 'task',
      reasons: ['embedder: chosen by task'],
    };
    assert.deepEqual(store.decisions(all), [{ ...row, ok: null, totalMs: null }]);
    store.append(story.released('r1').entries.slice(2));
    assert.deepEqual(store.decisions(all), [{ ...row, ok: true, totalMs: 4.5 }]);
  });

  check('explains a request that was routed by meaning, from any of its rows', (store) => {
    const story = new Story(stateOf({ embedder: resident, medical: resident })).configured();
    story.embedding('r1').wait(5).routed('r1', 'medical').wait(4).released('r1');
    store.append(story.entries);
    const told = store.explain(3);
    assert.ok(told !== null);
    assert.equal(told.decision.id, 3);
    assert.equal(told.decision.request, 'r1');
    assert.deepEqual(told.asked, { sha256: 'ab'.repeat(32), chars: 54, language: 'en', text: null });
    assert.deepEqual(told.choice, choiceOf('r1', 'medical', 'nearest'));
    assert.deepEqual(told.policies, { router: ['rules', 'nearest'], residency: 'gdsf', combiner: 'best' });
    assert.deepEqual(told.residencyBefore, { medical: 'resident', embedder: 'resident' });
    assert.deepEqual(told.memory, {
      budgetBytes: 300_000_000,
      committedBytes: 70_000_001,
      availableBytes: 500_000_000,
      pressure: 'ok',
      temperatureCelsius: 75.5,
      throttled: ['frequency-capped'],
      loadCost: 2.1,
    });
    assert.deepEqual(
      told.timeline.map(({ id, event }) => [id, event]),
      [
        [2, 'request'],
        [3, 'features'],
        [4, 'released'],
      ],
    );
    assert.deepEqual(told.timeline[1]?.steps, ['run r1 on medical in fast-1 (lease 2)']);
    assert.deepEqual(told.outcome, {
      ok: true,
      failure: null,
      stages: { queue: 0.25, tokenize: 0.5, run: 3, total: 4.5 },
      predictedLoadMs: 0,
      loadMs: null,
    });
    for (const id of [2, 4]) {
      const other = store.explain(id);
      assert.equal(other?.decision.id, id);
      assert.deepEqual({ ...other, decision: null }, { ...told, decision: null });
    }
    assert.equal(store.explain(99), null);
  });

  check('the load that a request waited for belongs to its story, others do not', (store) => {
    store.append(storyOfLoad().entries);
    const told = store.explain(1);
    assert.deepEqual(
      told?.timeline.map(({ id, event }) => [id, event]),
      [
        [1, 'request'],
        [3, 'unloaded'],
        [5, 'loaded'],
        [6, 'released'],
      ],
    );
    assert.deepEqual(told?.residencyBefore, { medical: 'absent', old: 'resident' });
    assert.deepEqual(told?.residencyAfter, { medical: 'absent', old: 'unloading' });
    assert.equal(told?.outcome?.loadMs, 812);
    assert.equal(told?.outcome?.predictedLoadMs, 250);
  });

  check('a refusal is listed and explained, with or without a choice before', (store) => {
    const story = new Story(stateOf());
    const failure = { code: 'queue_full', message: 'full', hint: null, retryable: true };
    const steps = [{ type: 'reject', request: 'r1', failure, retryAfterMs: 1_000, loading: null }] as const;
    story.add(requestEvent('r1', 'chat', story.nowMs, 'medical'), {}, { reasons: ['refused: full'], steps });
    story.granted('r2').wait(3);
    const late = [{ ...steps[0], request: 'r2' }] as const;
    story.add(
      { type: 'tick', atMs: story.nowMs },
      { requests: new Map() },
      { reasons: ['late'], steps: late },
    );
    store.append(story.entries);
    const [second, first] = store.decisions(all);
    assert.deepEqual([first?.id, first?.request, first?.expert, first?.router], [1, 'r1', 'medical', null]);
    assert.deepEqual([first?.ok, first?.totalMs], [false, 0]);
    assert.deepEqual([second?.id, second?.ok, second?.totalMs], [2, false, 3]);
    for (const id of [1, 2]) assert.deepEqual(store.explain(id)?.outcome?.failure, failure);
  });

  check('abstaining is a good end, hanging up is not', (store) => {
    const story = new Story(stateOf());
    story.add(
      requestEvent('r1', 'chat', story.nowMs),
      {},
      {
        choice: choiceOf('r1', null, 'none'),
        steps: [{ type: 'abstain', request: 'r1' }],
        reasons: ['abstained'],
      },
    );
    story.granted('r2').wait(7);
    story.add(
      { type: 'hungUp', atMs: story.nowMs, request: 'r2' },
      { requests: new Map() },
      { reasons: ['gone'] },
    );
    story.released('r2');
    store.append(story.entries);
    assert.deepEqual(
      store.decisions(all).map(({ id, ok }) => [id, ok]),
      [
        [2, false],
        [1, true],
      ],
    );
    assert.equal(store.explain(1)?.outcome?.failure, null);
    assert.equal(store.explain(2)?.outcome?.failure?.code, 'hung_up');
  });

  check('two requests with one id are two stories', (store) => {
    const story = new Story(stateOf()).granted('r1').released('r1').granted('r1').released('r1', false);
    store.append(story.entries);
    assert.deepEqual(
      store.explain(1)?.timeline.map(({ id }) => id),
      [1, 2],
    );
    assert.deepEqual(
      store.explain(3)?.timeline.map(({ id }) => id),
      [3, 4],
    );
    assert.equal(store.explain(3)?.outcome?.failure?.code, 'run_failed');
  });

  check('a row without a request is explained by itself', (store) => {
    store.append(new Story(stateOf()).configured().sample().entries);
    const told = store.explain(1);
    assert.deepEqual(told?.decision.reasons, ['configured']);
    assert.deepEqual([told?.asked, told?.choice, told?.outcome], [null, null, null]);
    assert.equal(told?.timeline.length, 1);
    assert.equal(store.explain(2)?.memory, null);
  });

  check('a replay starts at a state and gives back what came in and what was decided', (store) => {
    const story = storyOfLoad();
    store.append(story.entries.slice(0, 4));
    const middle = story.entries[3]?.decision.state;
    assert.ok(middle !== undefined);
    store.snapshot(4, middle);
    store.append(story.entries.slice(4));
    const items = [...store.replay(0)];
    assert.deepEqual(
      items.map(({ kind, sequence }) => `${kind} ${sequence}`),
      ['state 0', 'entry 1', 'entry 2', 'entry 3', 'entry 4', 'state 4', 'entry 5', 'entry 6'],
    );
    const [start] = items;
    assert.ok(start?.kind === 'state');
    assert.deepEqual(start.state, story.entries[0]?.before);
    assert.equal(start.continues, false);
    for (const item of items) {
      if (item.kind !== 'entry') continue;
      const entry = story.entries[item.sequence - 1];
      assert.deepEqual(item.event, entry?.event);
      const { state: _, ...decided } = entry?.decision ?? { state: null };
      assert.deepEqual({ reasons: item.reasons, choice: item.choice, steps: item.steps }, decided);
    }
    const later = [...store.replay(5)];
    assert.deepEqual(later[0], { kind: 'state', sequence: 4, state: middle, continues: true });
    assert.equal(later.length, 3);
  });

  check('profiles and prototypes are kept by digest, the last one wins', (store) => {
    assert.equal(store.profile('d1'), null);
    const profile = { residentBytes: 1, loadBytes: 2, loadMs: 3.5, measured: true };
    store.keepProfile('d1', { ...profile, measured: false });
    store.keepProfile('d1', profile);
    assert.deepEqual(store.profile('d1'), profile);
    const vectors = [Int8Array.of(-127, 127), new Int8Array(0)];
    assert.equal(store.prototypes('d1', 'e1'), null);
    store.keepPrototypes('d1', 'e1', vectors);
    assert.deepEqual(store.prototypes('d1', 'e1'), vectors);
    assert.equal(store.prototypes('d1', 'e2'), null);
  });

  check('memory in a row is what the state after it commits', (store) => {
    const { entries } = new Story(stateOf()).granted('r1');
    store.append(entries);
    const after = entries[0]?.decision.state;
    assert.equal(
      store.explain(1)?.memory?.committedBytes,
      after === undefined ? null : committedBytes(after),
    );
  });
}

/** Room is made for `medical` by evicting `old`; meanwhile `other` is loaded for somebody else. */
function storyOfLoad(): Story {
  const story = new Story(stateOf({ medical: absent, old: resident, other: absent }));
  const unloading = {
    state: 'unloading',
    cell: 'fast-1',
    sinceMs: 0,
    deadlineMs: 1e9,
    heldBytes: 1,
  } as const;
  const experts = (medical: typeof absent, old: typeof absent, other: typeof absent) => ({
    experts: stateOf({ medical, old, other }).experts,
  });
  const requests = new Map([['r1', requestOf('r1', story.nowMs)]]);
  const candidate = { expert: 'medical', score: 1, confidence: 1, why: 'named' };
  story.add(
    requestEvent('r1', 'chat', story.nowMs, 'medical'),
    { ...experts(absent, unloading, absent), requests },
    {
      reasons: ['unload old: for medical'],
      steps: [{ type: 'unload', expert: 'old', cell: 'fast-1' }],
      choice: { ...choiceOf('r1', 'medical', 'named'), candidates: [candidate], predictedLoadMs: 250 },
    },
  );
  const command = { type: 'command', atMs: story.nowMs, command: 'load', expert: 'other' } as const;
  story.add(command, experts(absent, unloading, loading), { reasons: ['load other'] });
  const unloaded = {
    type: 'unloaded',
    atMs: story.nowMs,
    expert: 'old',
    cell: 'fast-1',
    cellBytes: 1,
  } as const;
  const load = { type: 'load', expert: 'medical', cell: 'fast-1', lane: 'fast', fresh: false } as const;
  story.add(unloaded, experts(loading, absent, loading), { reasons: ['load medical'], steps: [load] });
  const report = { beforeBytes: 1, afterBytes: 2, peakBytes: null, loadMs: 99 };
  const loaded = { type: 'loaded', atMs: story.nowMs, cell: 'fast-1', expert: 'other', report } as const;
  story.add(loaded, experts(loading, absent, resident), { reasons: ['other is in fast-1'] });
  const lease = {
    id: 1,
    purpose: 'answer',
    expert: 'medical',
    cell: 'fast-1',
    request: 'r1',
    subject: null,
    sinceMs: 0,
    deadlineMs: 1e9,
    cancelled: false,
  } as const;
  story.add(
    { ...loaded, expert: 'medical', report: { ...report, loadMs: 812 } },
    { ...experts(resident, absent, resident), leases: new Map([[1, lease]]) },
    { reasons: ['medical is in fast-1'], steps: [grant('r1', 'medical', 1)] },
  );
  return story.released('r1');
}
