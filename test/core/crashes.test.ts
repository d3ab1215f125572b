/** Loads that fail and processes that die: who is blamed, who is tried again, who is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { State } from '../../agent/types.ts';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';

function stateOf(state: State, id: string): string | undefined {
  return state.experts.get(id)?.residency.state;
}

test('a load that fails is tried once more after a pause, and then its waiter is told', () => {
  const world = worldOf({ experts: [expert('a')] });
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.finish('load a', 'fail')), []);
  world.pass(999);
  assert.deepEqual(said(world.last), [], 'not before the pause is over');
  world.pass(1);
  assert.deepEqual(said(world.last), ['load a in fast-1']);
  const again = world.finish('load a', 'fail');
  assert.deepEqual(said(again), ['refuse r1: load_failed']);
  assert.equal(again.state.experts.get('a')?.notBeforeMs, world.nowMs + 2_000, 'the pause doubles');
});

test('one failure too many within the window is quarantine, until somebody clears it', () => {
  const world = worldOf({ experts: [expert('a')] });
  for (const [index, pauseMs] of [1_000, 2_000, 0].entries()) {
    world.ask(`r${index}`, { model: 'a' });
    world.finish('load a', 'fail');
    if (pauseMs > 0) world.hangUp(`r${index}`);
    world.pass(pauseMs);
  }
  assert.equal(stateOf(world.state, 'a'), 'quarantined');
  assert.deepEqual(said(world.ask('r7', { model: 'a' })), ['refuse r7: quarantined']);
  world.happen({ type: 'command', command: 'clear', expert: 'a' });
  assert.deepEqual(said(world.ask('r8', { model: 'a' })), ['load a in fast-1']);
  assert.deepEqual(said(world.finish('load a')), ['grant r8: a in fast-1']);
});

test('failures that are older than the window do not count', () => {
  const world = worldOf({ experts: [expert('a')], settings: { cellIdleMs: 10_000_000 } });
  for (let round = 0; round < 5; round++) {
    world.ask(`r${round}`, { model: 'a' });
    world.finish('load a', 'fail');
    world.hangUp(`r${round}`);
    world.pass(600_000);
  }
  assert.equal(stateOf(world.state, 'a'), 'absent');
});

test('a bad file is quarantine at once, and the refusal names it', () => {
  const world = worldOf({ experts: [expert('a')] });
  world.ask('r1', { model: 'a' });
  const error = {
    code: 'bad_file',
    message: 'model.onnx is truncated',
    hint: 'Fetch it again.',
    retryable: false,
  };
  const { steps, state } = world.happen({ type: 'loadFailed', expert: 'a', cell: 'fast-1', error });
  assert.equal(stateOf(state, 'a'), 'quarantined');
  const [step] = steps;
  assert.ok(step?.type === 'reject');
  assert.match(step.failure.message, /model\.onnx is truncated/);
  assert.equal(step.failure.hint, 'Fetch it again.');
  const [named] = world.ask('r2', { model: 'a' }).steps;
  assert.ok(named?.type === 'reject');
  assert.match(named.failure.message, /in quarantine: model\.onnx is truncated/);
});

test('a new version ends quarantine', () => {
  const world = worldOf({ experts: [expert('a')] });
  world.ask('r1', { model: 'a' });
  world.finish('load a', 'broken');
  world.happen({ type: 'installed', expert: expert('a', { version: '2.0.0', digest: 'another' }) });
  assert.deepEqual(said(world.ask('r2', { model: 'a' })), ['load a in fast-1']);
});

test('when a cell dies its oldest lease is blamed, and every request in it is tried once more', () => {
  const world = worldOf({ experts: [expert('a'), expert('b')] });
  use(world, 'a');
  use(world, 'b');
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'b' });
  const { state, steps } = world.crash('fast-1');
  assert.equal(state.experts.get('a')?.crashesMs.length, 1);
  assert.equal(state.experts.get('b')?.crashesMs.length, 0);
  assert.deepEqual(
    steps.map((step) => step.type),
    ['load'],
  );
  assert.deepEqual(said(world.finish('load b')), ['grant r2: b in fast-2']);
  world.finish('grant r2');
  world.pass(1_000);
  assert.deepEqual(said(world.last), ['load a in fast-2'], 'the blamed one waits for its pause');
  assert.deepEqual(said(world.finish('load a')), ['grant r1: a in fast-2']);
  assert.deepEqual(said(world.crash('fast-2')), ['refuse r1: cell_exited']);
});

test('a request whose answer went out in part is not tried again', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.crash('fast-1', 'killed by SIGSEGV', ['r1'])), []);
  assert.equal(world.state.requests.size, 0);
});

test('an idle cell that dies blames nobody: its experts are absent and load again without a pause', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  const { state } = world.crash('fast-1', 'killed by SIGKILL');
  assert.equal(stateOf(state, 'a'), 'absent');
  assert.equal(state.experts.get('a')?.crashesMs.length, 0);
  assert.equal(state.cells.size, 0);
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['load a in the new fast-2']);
});

test('a cell that dies while it loads is a failed load', () => {
  const world = worldOf({ experts: [expert('a')] });
  world.ask('r1', { model: 'a' });
  const { state } = world.crash('fast-1');
  assert.equal(state.experts.get('a')?.crashesMs.length, 1);
  world.pass(1_000);
  assert.deepEqual(said(world.last), ['load a in the new fast-2']);
});

test('a load past its deadline ends with its cell and counts once, and the reason says so', () => {
  const world = worldOf({ experts: [expert('a')] });
  world.ask('r1', { model: 'a', waitMs: 500_000 });
  world.pass(120_000);
  assert.deepEqual(said(world.last), ['kill fast-1']);
  const { state, reasons } = world.finish('stop fast-1');
  assert.equal(state.experts.get('a')?.crashesMs.length, 1);
  assert.match(state.experts.get('a')?.lastError?.message ?? '', /did not end within 120 s/);
  assert.ok(
    reasons.some((reason) => /did not end within 120 s; 1 of 3/.test(reason)),
    reasons.join('\n'),
  );
});

test('an expert that crashes too often while it answers goes to quarantine, and its waiters are told', () => {
  const world = worldOf({ experts: [expert('a')], settings: { crashLimit: 2 } });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.crash('fast-1');
  world.pass(1_000);
  world.finish('load a');
  world.ask('r2', { model: 'a' });
  const { steps, state } = world.crash('fast-2');
  assert.equal(stateOf(state, 'a'), 'quarantined');
  assert.deepEqual(
    steps.map((step) => (step.type === 'reject' ? step.request : step.type)),
    ['r1', 'r2'],
  );
});

test('events about a cell that is gone say nothing', () => {
  const world = worldOf({ experts: [expert('a'), expert('b')], settings: { budgetBytes: 400 * MB } });
  use(world, 'a');
  world.crash('fast-1');
  const before = world.state;
  const report = { beforeBytes: 0, afterBytes: 0, peakBytes: 0, loadMs: 1 };
  const error = { code: 'x', message: 'x', hint: null, retryable: true };
  for (const event of [
    { type: 'loaded', expert: 'a', cell: 'fast-1', report },
    { type: 'loadFailed', expert: 'a', cell: 'fast-1', error },
    { type: 'unloaded', expert: 'a', cell: 'fast-1', cellBytes: 0 },
    { type: 'cellExited', cell: 'fast-1', cause: 'again', oomKilled: false, answered: [] },
    { type: 'released', lease: 1, outcome: { ok: true, error: null, stages: {}, keptBytes: 0, sources: 0 } },
  ] as const) {
    const { state, steps } = world.happen(event);
    assert.deepEqual(steps, []);
    assert.deepEqual(state, before, event.type);
  }
});
