/** Cells as processes: how they end, whoever ends them, and what is told of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginRun, runScripted, StartedCells, scripted, scriptedCommand, textOf } from './started.ts';

const experts = new Map([['good', scripted('good')]]);
const limit = { timeout: 60_000 };

async function loaded(stopGraceMs?: number): Promise<StartedCells> {
  const started = new StartedCells(experts, stopGraceMs === undefined ? {} : { stopGraceMs });
  await started.cells.load('fast-1', 'fast', 'good');
  return started;
}

test('kill -9 in the middle of a run: the run fails, and the cause says what is known', limit, async () => {
  await using started = await loaded();
  const run = beginRun(started, 'block');
  await run.begun;
  process.kill(started.pid('fast-1'), 'SIGKILL');
  assert.match(await run.failure, /^cell_exited: .*killed by SIGKILL/);
  assert.match(await started.exited('fast-1'), /^killed by SIGKILL(; the kernel ended .*)?$/);
});

test(
  'a cell that blocks reads no "stop" and takes no signal: it is killed after the grace',
  limit,
  async () => {
    await using started = await loaded(100);
    const run = beginRun(started, 'block');
    await run.begun;
    process.kill(started.pid('fast-1'), 'SIGTERM');
    started.cells.stop('fast-1', false);
    assert.equal(await started.exited('fast-1'), 'killed by the agent: it did not stop in time');
    assert.match(await run.failure, /^cell_exited: /);
  },
);

test('a run under way ends early when its cell is stopped', limit, async () => {
  await using started = await loaded();
  const run = beginRun(started, 'endless');
  await run.begun;
  started.cells.stop('fast-1', false);
  assert.equal(await run.text, 'first');
  assert.equal(await started.exited('fast-1'), 'stopped by the agent');
});

test('Ctrl-C in the terminal is for the agent; SIGTERM ends a cell in order', limit, async () => {
  await using started = await loaded();
  process.kill(started.pid('fast-1'), 'SIGINT');
  assert.equal(await textOf(runScripted(started, 'say still here')), 'still here');
  process.kill(started.pid('fast-1'), 'SIGTERM');
  assert.equal(await started.exited('fast-1'), 'exit code 0');
});

for (const [what, cause] of [
  ['exit 3', 'exit code 3'],
  ['abort', 'killed by SIGABRT'],
] as const) {
  test(`a cell that ends by itself: ${cause}`, limit, async () => {
    await using started = await loaded();
    await assert.rejects(runScripted(started, what), { code: 'cell_exited', retryable: true });
    assert.equal(await started.exited('fast-1'), cause);
  });
}

test('a program that is not there', limit, async () => {
  await using started = new StartedCells(experts, { command: { file: '/nowhere/expertd', args: [] } });
  await assert.rejects(started.cells.load('fast-1', 'fast', 'good'), { code: 'cell_exited' });
  assert.match(await started.exited('fast-1'), /^could not be started: spawn \/nowhere\/expertd ENOENT$/);
  assert.equal(started.cells.pids().size, 0);
});

test('a program whose arguments the system refuses', limit, async () => {
  const command = { ...scriptedCommand, args: [...scriptedCommand.args, 'x\0y'] };
  await using started = new StartedCells(experts, { command });
  await assert.rejects(started.cells.load('fast-1', 'fast', 'good'), { code: 'cell_exited' });
  assert.match(await started.exited('fast-1'), /^could not be started: /);
});

test('a program that ends before it is ready', limit, async () => {
  await using started = new StartedCells(experts, { command: nodeProgram('process.exit(9)') });
  await assert.rejects(started.cells.load('fast-1', 'fast', 'good'), { code: 'cell_exited' });
  assert.equal(await started.exited('fast-1'), 'exit code 9');
});

test('a process that closes its channel and lives on', limit, async () => {
  const command = nodeProgram('require("node:fs").closeSync(3); setInterval(() => {}, 1_000)');
  await using started = new StartedCells(experts, { command, stopGraceMs: 100 });
  await assert.rejects(started.cells.load('fast-1', 'fast', 'good'), { code: 'cell_exited' });
  assert.equal(await started.exited('fast-1'), 'killed by the agent: it closed its channel');
});

test(
  'shutdown ends all cells within its deadline, blocked ones too, and takes no load after it',
  limit,
  async () => {
    const started = await loaded(60_000);
    await started.cells.load('heavy-1', 'heavy', 'good');
    const blocked = beginRun(started, 'block', 'heavy-1');
    await blocked.begun;
    await started.cells.shutdown(300);
    assert.deepEqual(
      new Set(started.exits.map(({ cause }) => cause)),
      new Set(['stopped by the agent', 'killed by the agent: it did not stop before the shutdown ended']),
    );
    assert.match(await blocked.failure, /^cell_exited: /);
    await assert.rejects(started.cells.load('fast-2', 'fast', 'good'), { code: 'cell_exited' });
    await started.cells.shutdown(300);
    assert.equal(started.cells.pids().size, 0);
  },
);

/** A program that is no cell. */
function nodeProgram(source: string) {
  return { file: process.execPath, args: ['-e', source, '--'] };
}
