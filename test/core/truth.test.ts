/** What the kernel says against what the ledger believes: killed cells, grown cells, forgotten pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedBytes, footprintBytes } from '../../agent/residency.ts';
import type { Expert } from '../../agent/types.ts';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

function footprintMb(world: World, id: string): number {
  const entry = world.state.experts.get(id);
  assert.ok(entry !== undefined);
  return footprintBytes(entry.expert) / MB;
}

test('the kernel killed a cell for want of memory: whoever worked there needs more, and is held back', () => {
  const world = worldOf({ experts: [expert('a', { residentMb: 80 }), expert('b')] });
  use(world, 'a');
  use(world, 'b');
  world.ask('r1', { model: 'a' });
  world.kill(0, 'oom');
  assert.equal(footprintMb(world, 'a'), 100);
  assert.equal(footprintMb(world, 'b'), 20, 'b only rested there');
  assert.match(world.last.reasons.join('; '), /a is taken to need 20\.0 MB more than was measured/);
  assert.deepEqual(world.underWay, [], 'it waits for its back-off');
  world.pass(1_000);
  assert.deepEqual(world.underWay, ['load a']);
  world.finish('load a');
  assert.equal(footprintMb(world, 'a'), 100, 'a load tells nothing of what a run takes');
  world.happen({ type: 'command', command: 'clear', expert: 'a' });
  assert.equal(footprintMb(world, 'a'), 80);
});

test('one that is killed while it loads needs more too; other ends of a cell say nothing of memory', () => {
  const loading = worldOf({ experts: [expert('a')] });
  loading.ask('r1', { model: 'a' });
  loading.kill(0, 'oom');
  assert.equal(footprintMb(loading, 'a'), 36, '16 MB at least');
  const other = worldOf({ experts: [expert('a')] });
  use(other, 'a');
  other.ask('r1', { model: 'a' });
  other.kill(0, 'signal');
  assert.equal(footprintMb(other, 'a'), 20);
});

test('three such ends put an expert into quarantine', () => {
  const world = worldOf({ experts: [expert('a')] });
  for (let at = 0; at < 3; at++) {
    world.ask(`r${at}`, { model: 'a' });
    world.kill(0, 'oom');
    world.pass(10_000);
    if (world.underWay.includes('load a')) world.kill(0, 'oom');
    world.pass(10_000);
  }
  assert.equal(world.state.experts.get('a')?.residency.state, 'quarantined');
});

test('a cell that rests and has grown beyond what is known ends, and nobody is blamed', () => {
  const world = worldOf({ experts: [expert('a')], settings: { cellIdleMs: 1_000_000 } });
  use(world, 'a');
  world.holdExtra('fast-1', 100 * MB);
  assert.deepEqual(said(world.sample(800 * MB, 0)), [], 'it has just worked');
  world.pass(60_000);
  const looked = world.sample(800 * MB, 0);
  assert.deepEqual(said(looked), ['stop fast-1']);
  assert.match(looked.reasons.join('; '), /it rests and has grown by 100\.0 MB to 158\.0 MB/);
  world.finish('stop fast-1');
  assert.deepEqual(world.state.experts.get('a')?.crashesMs, []);
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['load a in the new fast-2']);
});

test('growth that is small, or taken to be in use, is left alone', () => {
  const small = worldOf({ experts: [expert('a')], settings: { cellIdleMs: 1_000_000 } });
  use(small, 'a');
  small.holdExtra('fast-1', 60 * MB);
  small.pass(60_000);
  assert.deepEqual(said(small.sample(800 * MB, 0)), []);
  const busy = worldOf({ experts: [expert('a')], settings: { runDeadlineMs: { fast: 1e6, heavy: 1e6 } } });
  use(busy, 'a');
  busy.holdExtra('fast-1', 200 * MB);
  busy.ask('r1', { model: 'a' });
  busy.pass(60_000);
  assert.deepEqual(said(busy.sample(800 * MB, 0)), []);
});

const model = (id: string, change: Partial<Expert> = {}): Expert =>
  expert(id, { residentMb: 100, parkable: true, ...change });

function parked(...ids: readonly string[]): World {
  const world = worldOf({ experts: ids.map((id) => model(id)), settings: { budgetBytes: 1_000 * MB } });
  for (const id of ids) {
    use(world, id);
    world.happen({ type: 'command', command: 'park', expert: id });
    world.finish(`park ${id}`);
  }
  return world;
}

test('what comes from the disk is in the prediction, the reason and the order of candidates', () => {
  const world = parked('a');
  world.tellCached('a', 50 * MB);
  const { choice, reasons } = world.ask('r1', { model: 'a' });
  assert.equal(Math.round(choice?.predictedLoadMs ?? 0), Math.round(30 + (50 * MB) / 50_000));
  assert.match(reasons.join('; '), /resume a in fast-1: .*; 50\.0 MB of it come from the disk/);
  world.finish('grant r1');
  world.happen({ type: 'command', command: 'park', expert: 'a' });
  world.finish('park a');
  assert.equal(
    world.ask('r2', { model: 'a' }).choice?.predictedLoadMs,
    30,
    'a park begins with all its pages there',
  );
});

test('a word about pages that comes late changes nothing', () => {
  const world = parked('a');
  world.ask('r1', { model: 'a' });
  const before = world.state.experts;
  const late = world.happen({ type: 'cached', expert: 'a', cell: 'fast-1', coldBytes: 5 });
  assert.deepEqual(late.state.experts, before);
});

test('under pressure the pages of what will be needed last go first, one expert a look, and never all', () => {
  const world = parked('a', 'b', 'c');
  // Nobody must be unloaded for this: only the level is high.
  assert.deepEqual(said(world.sample(800 * MB, 30)), ['chill a in fast-1']);
  assert.deepEqual(said(world.sample(800 * MB, 30)), ['chill b in fast-1']);
  assert.deepEqual(said(world.sample(800 * MB, 30)), [], 'c is the most valuable');
  world.tellCached('a', 0);
  assert.deepEqual(said(world.sample(800 * MB, 30)), ['chill a in fast-1'], 'its pages came back meanwhile');
});

test('what a cell should measure is told apart from what it is charged', () => {
  const world = worldOf({
    experts: [model('a', { cacheBytes: 40 * MB })],
    settings: { budgetBytes: 1_000 * MB },
  });
  use(world, 'a');
  const [cell] = world.state.cells.values();
  assert.ok(cell !== undefined);
  assert.equal(expectedBytes(world.state, cell), (38 + 100) * MB, 'room that nobody has taken is no memory');
  world.happen({ type: 'command', command: 'park', expert: 'a' });
  world.finish('park a');
  const [after] = world.state.cells.values();
  assert.ok(after !== undefined);
  assert.equal(expectedBytes(world.state, after), (38 + 20) * MB);
});

test('what runs left behind is learned when a cell rests, and expected from then on', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.holdExtra('fast-1', 15 * MB);
  world.ask('r1', { model: 'a' });
  world.sample(800 * MB, 0);
  assert.equal(world.state.cells.get('fast-1')?.residueBytes, 0, 'it works: who knows what that is');
  world.finish('grant r1');
  world.sample(800 * MB, 0);
  const [cell] = world.state.cells.values();
  assert.ok(cell !== undefined);
  assert.equal(expectedBytes(world.state, cell), (38 + 20 + 15) * MB);
});

test('a cell whose expert somebody waits for is not ended', () => {
  const world = worldOf({
    experts: [
      expert('a', { residentMb: 100, parkable: true }),
      expert('b', { residentMb: 100, lane: 'heavy', task: 'text-generation' }),
    ],
    settings: { budgetBytes: 350 * MB, loadWaitMs: 500_000 },
  });
  use(world, 'a');
  world.happen({ type: 'command', command: 'park', expert: 'a' });
  world.finish('park a');
  world.ask('r1', { model: 'b' });
  world.finish('load b');
  world.holdExtra('fast-1', 80 * MB);
  world.sample(800 * MB, 0);
  world.ask('r2', { model: 'a' });
  world.pass(60_000);
  assert.deepEqual(said(world.sample(800 * MB, 0)), [], 'r2 waits for what is parked there');
  world.finish('grant r1');
});

test('weights in files that are looked at more than at the load are no growth', () => {
  const world = worldOf({ experts: [expert('a')], settings: { cellIdleMs: 1_000_000 } });
  use(world, 'a');
  world.holdExtra('fast-1', 100 * MB);
  world.pass(60_000);
  const sample = {
    agentBytes: 60 * MB,
    cellBytes: new Map([['fast-1', world.cellBytes('fast-1')]]),
    cellFileBytes: new Map([['fast-1', 110 * MB]]),
    availableBytes: 800 * MB,
    totalBytes: 1_000 * MB,
    psiSomeAvg10: 0,
    psiFullAvg10: 0,
    device: null,
  };
  assert.deepEqual(said(world.happen({ type: 'sample', sample })), []);
});

test('a margin goes again, half of it each time that the expert leaves in good order', () => {
  const world = worldOf({ experts: [expert('a', { residentMb: 200 })], settings: { budgetBytes: 500 * MB } });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.kill(0, 'oom');
  world.pass(1_000);
  world.finish('load a');
  world.finish('grant r1');
  assert.equal(footprintMb(world, 'a'), 250);
  for (const mb of [225, 200]) {
    world.happen({ type: 'command', command: 'unload', expert: 'a' });
    world.finish('unload a');
    assert.equal(footprintMb(world, 'a'), mb);
    use(world, 'a');
  }
});

test('a margin alone never makes an expert too large for its device', () => {
  const world = worldOf({ experts: [expert('a', { residentMb: 80 })], settings: { budgetBytes: 200 * MB } });
  for (let at = 0; at < 8; at++) {
    use(world, 'a');
    world.ask(`r${at}`, { model: 'a' });
    world.kill(0, 'oom');
    world.pass(700_000);
    world.drain();
  }
  assert.equal(footprintMb(world, 'a'), 200 - 60 - 38, 'all that there is');
  const steps = world.log.flatMap(({ decision }) => decision.steps);
  assert.ok(steps.every((step) => step.type !== 'reject' || step.failure.code !== 'too_large'));
});
