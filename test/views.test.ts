import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Package } from '../agent/catalog/package.ts';
import { decide, initialState } from '../agent/decide.ts';
import type { Event } from '../agent/events.ts';
import type { Happening } from '../agent/loop.ts';
import type { State } from '../agent/types.ts';
import { expertViews, stateView } from '../agent/views.ts';
import { policyOf } from '../policies/index.ts';
import { manifestOf } from './catalog/folder.ts';
import { expert, features, MB, names, settings } from './core/made.ts';

const report = { beforeBytes: 40 * MB, afterBytes: 60 * MB, peakBytes: 20 * MB, loadMs: 100 };
const error = { code: 'bad_expert', message: 'model.onnx is missing', hint: null, retryable: false };

function after(...happenings: readonly Happening[]): State {
  const policy = policyOf(names);
  return happenings.reduce(
    (state, happening) => decide(state, { ...happening, atMs: 1_000 } as Event, policy).state,
    initialState(settings(), 60 * MB),
  );
}

const installed: Happening = { type: 'installed', expert: expert('a') };
const asked: Happening = {
  type: 'request',
  request: 'r1',
  want: 'chat',
  model: 'a',
  features: features(),
  waitMs: null,
  keepAliveMs: null,
};
const loaded: Happening = { type: 'loaded', expert: 'a', cell: 'fast-1', report };
const failedFetch: Happening = {
  type: 'pending',
  expert: 'a',
  pending: { version: null, state: 'failed', doneBytes: 0, totalBytes: null, error },
};
const none = () => null;

test('an expert is shown with what its manifest says and where it is', () => {
  const manifest = manifestOf('a', { 'onnx/model.onnx': 'x' });
  const found: Package = { manifest, digest: 'd', directory: '/nowhere' };
  const [absent] = expertViews(after(installed), () => ({ ...found, origin: 'folder', prepared: null }));
  assert.equal(absent?.summary, 'made for a test');
  assert.deepEqual(
    [absent?.state, absent?.cell, absent?.leases, absent?.lastUsedMs],
    ['absent', null, 0, null],
  );
  const [leased] = expertViews(after(installed, asked, loaded), none);
  assert.deepEqual(
    [leased?.state, leased?.cell, leased?.leases, leased?.lastUsedMs],
    ['resident', 'fast-1', 1, 1_000],
  );
  assert.deepEqual([leased?.summary, leased?.graph], [null, null], 'its folder is gone');
});

test('a language model shows the context that there is room for, not the one that it was made for', () => {
  const tokenizer = {
    kind: 'huggingface',
    path: 'tokenizer.json',
    config: 'tokenizer_config.json',
    maxTokens: 8_192,
  } as const;
  const base = manifestOf('a', { 'onnx/model.onnx': 'x' });
  const model = { ...base.model, cacheBytesPerToken: 1_000 };
  const manifest = { ...base, task: 'text-generation', tokenizer, model } as const;
  const tokens = (cacheBytes: number): number | null | undefined => {
    const state = after({ type: 'installed', expert: expert('a', { task: 'text-generation', cacheBytes }) });
    const found = { manifest, digest: 'd', directory: '/nowhere', origin: 'added', prepared: null } as const;
    return expertViews(state, () => found)[0]?.files?.contextTokens;
  };
  assert.deepEqual([tokens(2_048_000), tokens(99_000_000)], [2_048, 8_192]);
});

test('one that is in quarantine, or was not fetched, is shown with the reason', () => {
  const broken: Happening = { type: 'loadFailed', expert: 'a', cell: 'fast-1', error };
  const [quarantined] = expertViews(after(installed, asked, broken), none);
  assert.deepEqual([quarantined?.state, quarantined?.error], ['quarantined', error]);
  const [failed] = expertViews(after(failedFetch), none);
  assert.deepEqual(
    [failed?.id, failed?.state, failed?.error, failed?.progress],
    ['a', 'failed', error, null],
  );
});

test('progress is a share, also of nothing', () => {
  for (const [doneBytes, totalBytes, progress] of [
    [0, null, null],
    [25, 100, 0.25],
    [0, 0, 0],
  ] as const) {
    const pending = { version: null, state: 'fetching', doneBytes, totalBytes, error: null } as const;
    const [view] = expertViews(after({ type: 'pending', expert: 'a', pending }), none);
    assert.equal(view?.progress, progress);
  }
});

test('one that leaves while its successor is broken is shown once: as itself, then with what is wrong', () => {
  const leaving = after(installed, asked, loaded, { type: 'removed', expert: 'a' }, failedFetch);
  assert.deepEqual(
    expertViews(leaving, none).map(({ state }) => state),
    ['resident'],
  );
  const [lease = 0] = leaving.leases.keys();
  const outcome = { ok: true, error: null, stages: {}, keptBytes: 0, sources: 0 };
  const steps: Happening[] = [
    { type: 'released', lease, outcome },
    { type: 'unloaded', expert: 'a', cell: 'fast-1', cellBytes: 40 * MB },
  ];
  const gone = after(installed, asked, loaded, { type: 'removed', expert: 'a' }, failedFetch, ...steps);
  assert.deepEqual(
    expertViews(gone, none).map(({ state, error: why }) => [state, why?.message]),
    [['failed', 'model.onnx is missing']],
  );
});

test('the state adds up: cells with their experts and leases, who waits and who runs', () => {
  const second: Happening = { type: 'installed', expert: expert('b', { residentMb: 400 }) };
  const state = after(installed, second, asked, loaded, { ...asked, request: 'r2' } as Happening);
  const view = stateView({
    state,
    device: null,
    pids: new Map([['fast-1', 4711]]),
    policies: names,
    log: { state: 'ok', reason: null, lastSequence: 1, syncedSequence: 1, dropped: 0 },
    counts: { loads: 1, loadFailures: 0, evictions: 0, cellExits: 0 },
  });
  assert.deepEqual(
    view.cells.map(({ id, pid, experts, leases }) => ({ id, pid, experts, leases })),
    [{ id: 'fast-1', pid: 4711, experts: ['a'], leases: 2 }],
  );
  assert.deepEqual([view.waiting, view.running, view.admission], [0, 2, 'open']);
  assert.ok(view.committedBytes >= 120 * MB && view.committedBytes <= view.budgetBytes);
});

test('admission is closed above the budget and under pressure', () => {
  const options = {
    device: null,
    pids: new Map(),
    policies: names,
    log: { state: 'ok', reason: null, lastSequence: 1, syncedSequence: 1, dropped: 0 },
    counts: { loads: 0, loadFailures: 0, evictions: 0, cellExits: 0 },
  } as const;
  const state = after();
  const over = { ...state, agentBytes: state.settings.budgetBytes + 1 };
  const pressed = { ...state, pressure: { level: 'high', why: 'a test' } } as const;
  assert.deepEqual(
    [state, over, pressed].map((one) => stateView({ ...options, state: one }).admission),
    ['open', 'closed', 'closed'],
  );
});
