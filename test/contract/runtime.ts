/** What every `Runtime` does, whether cells are processes or not. The fake and the real one pass the same tests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import type { RunReport, Runtime } from '../../agent/ports.ts';
import type { CellId, ExpertId, LeaseId } from '../../agent/types.ts';
import { say } from '../cells/started.ts';

/**
 * A runtime with four experts: `good` and `other` do what the question says (`say X`, `spell X` letter by letter,
 * `endless` until cancelled, `throw X`), `bad` fails to load with `bad_expert`, `stuck` never finishes its load.
 * Any other id is unknown: `unknown_expert`.
 */
export interface RuntimeUnderTest extends AsyncDisposable {
  readonly runtime: Runtime;
  /** Every exit that was told, in order. */
  readonly exits: readonly { readonly cell: CellId; readonly cause: string }[];
  /** Ends a cell from outside, as a crash would. */
  crash(cell: CellId): void;
  /** Resolves with the cause when the exit of the cell was told. */
  exited(cell: CellId): Promise<string>;
}

export function runtimeContract(name: string, make: () => RuntimeUnderTest): void {
  const it = (what: string, body: (given: RuntimeUnderTest) => Promise<void>) =>
    test(`${name}: ${what}`, { timeout: 60_000 }, async () => {
      await using given = make();
      await body(given);
    });
  loading(it);
  running(it);
  cancelling(it);
  ending(it);
}

type It = (what: string, body: (given: RuntimeUnderTest) => Promise<void>) => void;

function loading(it: It): void {
  it('a load starts its cell and reports what it cost', async ({ runtime }) => {
    const report = await runtime.load('fast-1', 'fast', 'good');
    assert.ok(report.loadMs >= 0);
    assert.ok(report.beforeBytes === null || report.beforeBytes > 0);
    assert.deepEqual([...runtime.pids().keys()], ['fast-1']);
  });

  it('several experts share a cell', async ({ runtime }) => {
    await runtime.load('fast-1', 'fast', 'good');
    await runtime.load('fast-1', 'fast', 'other');
    assert.equal(await says(runtime, 'good'), 'hello');
    assert.equal(await says(runtime, 'other'), 'hello');
    assert.equal(runtime.pids().size, 1);
  });

  it('a second load of an expert is refused and the first stays', async ({ runtime }) => {
    await runtime.load('fast-1', 'fast', 'good');
    await rejects(runtime.load('fast-1', 'fast', 'good'), 'already_loaded');
    assert.equal(await says(runtime, 'good'), 'hello');
  });

  it('a load that fails says why and leaves the cell as it was', async ({ runtime, exits }) => {
    await rejects(runtime.load('fast-1', 'fast', 'bad'), 'bad_expert');
    await runtime.load('fast-1', 'fast', 'good');
    assert.equal(await says(runtime, 'good'), 'hello');
    assert.deepEqual(exits, []);
  });

  it('an expert that is not installed starts no cell', async ({ runtime }) => {
    await rejects(runtime.load('fast-1', 'fast', 'nowhere'), 'unknown_expert');
    assert.equal(runtime.pids().size, 0);
  });

  it('an expert that was unloaded can be loaded again', async ({ runtime }) => {
    await runtime.load('fast-1', 'fast', 'good');
    const { cellBytes: bytes } = await runtime.unload('fast-1', 'good', 'all');
    assert.ok(bytes === null || bytes > 0);
    await rejects(says(runtime, 'good'), 'not_loaded');
    await runtime.load('fast-1', 'fast', 'good');
    assert.equal(await says(runtime, 'good'), 'hello');
  });

  it('an expert that gives back what it keeps stays loaded', async ({ runtime }) => {
    await runtime.load('fast-1', 'fast', 'good');
    const { cellBytes: bytes } = await runtime.unload('fast-1', 'good', 'kept');
    assert.ok(bytes === null || bytes > 0);
    assert.equal(await says(runtime, 'good'), 'hello');
    await rejects(runtime.unload('fast-1', 'other', 'kept'), 'not_loaded');
  });

  it('what is not loaded cannot be unloaded', async ({ runtime }) => {
    await rejects(runtime.unload('fast-1', 'good', 'all'), 'cell_exited');
    await runtime.load('fast-1', 'fast', 'good');
    await rejects(runtime.unload('fast-1', 'other', 'all'), 'not_loaded');
  });
}

function running(it: It): void {
  it('a run gives its pieces in order, then its answer and its stages', async ({ runtime }) => {
    await runtime.load('fast-1', 'fast', 'good');
    const pieces: string[] = [];
    const report = await run(runtime, 'good', 1, 'spell abc', (piece) => pieces.push(piece));
    assert.deepEqual(pieces, ['a', 'b', 'c']);
    assert.equal(textOf(report), 'abc');
    assert.ok((report.stages['queue'] ?? -1) >= 0);
  });

  it('runs of a cell are done one at a time, in the order in which they came', async ({ runtime }) => {
    await runtime.load('fast-1', 'fast', 'good');
    await runtime.load('fast-1', 'fast', 'other');
    const pieces: string[] = [];
    await Promise.all(
      ['good', 'other', 'good'].map((expert, index) =>
        run(runtime, expert, index, `spell ${index}${index}${index}`, (piece) => pieces.push(piece)),
      ),
    );
    assert.equal(pieces.join(''), '000111222');
  });

  it('a run that fails says why, and the next one runs', async ({ runtime }) => {
    await runtime.load('fast-1', 'fast', 'good');
    await rejects(run(runtime, 'good', 1, 'throw '), 'run_failed');
    assert.equal(await says(runtime, 'good'), 'hello');
  });

  it('a run needs a cell that runs and an expert that is loaded there', async ({ runtime }) => {
    await rejects(says(runtime, 'good'), 'cell_exited');
    await runtime.load('fast-1', 'fast', 'good');
    await rejects(says(runtime, 'other'), 'not_loaded');
  });
}

function cancelling(it: It): void {
  it('a run under way ends early when it is cancelled', async ({ runtime }) => {
    await runtime.load('heavy-1', 'heavy', 'good');
    const report = await run(runtime, 'good', 7, 'endless', () => runtime.cancel('heavy-1', 7), 'heavy-1');
    assert.equal(report.answer.kind === 'text' && report.answer.finish, 'cancelled');
  });

  it('a run that waits behind another is cancelled at once', async ({ runtime }) => {
    await runtime.load('heavy-1', 'heavy', 'good');
    const { promise: started, resolve: onStart } = Promise.withResolvers<void>();
    const first = run(runtime, 'good', 1, 'endless', () => onStart(), 'heavy-1');
    const second = run(runtime, 'good', 2, 'say hello', undefined, 'heavy-1');
    await started;
    runtime.cancel('heavy-1', 2);
    await rejects(second, 'cancelled');
    runtime.cancel('heavy-1', 1);
    await first;
  });

  it('cancelling what does not run changes nothing', async ({ runtime }) => {
    runtime.cancel('heavy-1', 1);
    await runtime.load('fast-1', 'fast', 'good');
    runtime.cancel('fast-1', 99);
    assert.equal(await says(runtime, 'good'), 'hello');
  });
}

function ending(it: It): void {
  it('a crash rejects all that was under way, tells one exit, and no other cell notices', async (given) => {
    const { runtime, exits } = given;
    await runtime.load('fast-1', 'fast', 'good');
    await runtime.load('heavy-1', 'heavy', 'good');
    const { promise: started, resolve: onStart } = Promise.withResolvers<void>();
    const lost = [
      run(runtime, 'good', 1, 'endless', () => onStart(), 'heavy-1'),
      run(runtime, 'good', 2, 'say hello', undefined, 'heavy-1'),
    ];
    const outcomes = Promise.allSettled(lost);
    await started;
    given.crash('heavy-1');
    for (const outcome of await outcomes) {
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof AgentError);
      assert.deepEqual([outcome.reason.code, outcome.reason.retryable], ['cell_exited', true]);
    }
    assert.deepEqual(
      exits.map(({ cell }) => cell),
      ['heavy-1'],
    );
    assert.equal(await says(runtime, 'good'), 'hello');
    assert.deepEqual([...runtime.pids().keys()], ['fast-1']);
  });

  it('a load that never ends is ended with its cell', async ({ runtime, exits }) => {
    const load = rejects(runtime.load('heavy-1', 'heavy', 'stuck'), 'cell_exited');
    runtime.stop('heavy-1', true);
    await load;
    assert.equal(exits.length, 1);
  });

  it('the exit is told before the rejections are handled', async (given) => {
    await given.runtime.load('fast-1', 'fast', 'good');
    const toldFirst = run(given.runtime, 'good', 1, 'endless', () => given.crash('fast-1')).then(
      () => false,
      () => given.exits.length === 1,
    );
    assert.equal(await toldFirst, true);
  });

  it('a cell that has ended is not started again under its id', async (given) => {
    const { runtime } = given;
    await runtime.load('fast-1', 'fast', 'good');
    given.crash('fast-1');
    await given.exited('fast-1');
    await rejects(runtime.load('fast-1', 'fast', 'good'), 'cell_exited');
    await rejects(says(runtime, 'good'), 'cell_exited');
    assert.equal(given.exits.length, 1);
  });

  for (const kill of [false, true]) {
    it(`a cell that is ${kill ? 'killed' : 'stopped'} tells one exit and takes nothing more`, async (given) => {
      const { runtime } = given;
      await runtime.load('fast-1', 'fast', 'good');
      assert.equal(runtime.stop('fast-1', kill), true);
      await rejects(says(runtime, 'good'), 'cell_exited');
      assert.match(await given.exited('fast-1'), kill ? /^killed by the agent/ : /^stopped by the agent$/);
      assert.equal(runtime.stop('fast-1', kill), false);
      assert.equal(given.exits.length, 1);
      assert.equal(runtime.pids().size, 0);
    });
  }

  it('stopping what does not run changes nothing', async ({ runtime, exits }) => {
    assert.equal(runtime.stop('fast-9', false), false);
    assert.equal(runtime.stop('fast-9', true), false);
    await runtime.load('fast-1', 'fast', 'good');
    assert.deepEqual(exits, []);
  });
}

function run(
  runtime: Runtime,
  expert: ExpertId,
  lease: LeaseId,
  question: string,
  onDelta: (text: string) => void = () => {},
  cell = 'fast-1',
): Promise<RunReport> {
  return runtime.run({ cell, lease, expert, ask: say(question) }, ({ text }) => onDelta(text));
}

async function says(runtime: Runtime, expert: ExpertId): Promise<string> {
  return textOf(await run(runtime, expert, 1_000, 'say hello'));
}

function textOf({ answer }: RunReport): string {
  return answer.kind === 'text' ? answer.text : `not a text but ${answer.kind}`;
}

async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}
