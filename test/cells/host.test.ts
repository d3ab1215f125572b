/** The host without a process: order, cancelling, and what a failed load leaves. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FromCell, ToCell } from '../../agent/cells/protocol.ts';
import type { Part } from '../../agent/ports.ts';
import { Host, type HostOptions } from '../../agent/runtime/host.ts';
import type { Task } from '../../agent/runtime/task.ts';
import { ToldMemory } from '../runtime/told-memory.ts';
import { openScripted } from './scripted-task.ts';
import { say, scripted } from './started.ts';

/** A host whose messages are kept, and whose memory counts how often it was settled. */
class HostUnderTest {
  readonly sent: FromCell[] = [];
  readonly released: string[] = [];
  settled = 0;
  readonly host: Host;
  #waiters: (() => void)[] = [];

  constructor(options: Partial<HostOptions> = {}) {
    this.host = new Host({
      send: (message) => {
        this.sent.push(message);
        for (const wake of this.#waiters.splice(0)) wake();
      },
      findTask: async () => openScripted,
      startRuntime: async () => {},
      openSession: async (_files, path) => this.#session(path),
      threads: 1,
      parker: null,
      memory: {
        measure: async (work) => {
          await work();
          return { beforeBytes: 1, afterBytes: 2, peakBytes: 3, loadMs: 4 };
        },
        settle: () => {
          this.settled += 1;
        },
        pssBytes: () => 5,
      },
      settleAfterMs: 60_000,
      ...options,
    });
  }

  load(call: number, expert: string, script: Parameters<typeof scripted>[1] = 'plain'): void {
    this.host.receive({ type: 'load', call, expert, ...scripted(expert, script) });
  }

  run(call: number, question: string, expert = 'good'): void {
    this.host.receive({ type: 'run', call, lease: call, expert, ask: say(question) } satisfies ToCell);
  }

  /** Resolves with the first message that `wanted` takes. */
  async until(wanted: (message: FromCell) => boolean): Promise<FromCell> {
    for (;;) {
      const found = this.sent.find(wanted);
      if (found !== undefined) return found;
      await new Promise<void>((wake) => this.#waiters.push(wake));
    }
  }

  answerTo(call: number): Promise<FromCell> {
    return this.until((message) => 'call' in message && message.type !== 'delta' && message.call === call);
  }

  #session(path: string) {
    const release = async () => {
      this.released.push(path);
    };
    return { release } as Awaited<ReturnType<HostOptions['openSession']>>;
  }
}

test('calls are answered in the order in which they came', async () => {
  const given = new HostUnderTest();
  given.load(1, 'good');
  given.run(2, 'say one');
  given.host.receive({ type: 'unload', call: 3, expert: 'good', part: 'all' });
  given.run(4, 'say two');
  const last = await given.answerTo(4);
  assert.deepEqual(
    given.sent.map((message) => message.type),
    ['loaded', 'answered', 'unloaded', 'failed'],
  );
  assert.ok(last.type === 'failed' && last.failure.code === 'not_loaded');
  await given.host.stop();
});

test('a run tells how long it waited and what its task spent', async () => {
  const given = new HostUnderTest();
  given.load(1, 'good');
  given.run(2, 'say one');
  const answer = await given.answerTo(2);
  assert.ok(answer.type === 'answered');
  assert.equal(answer.report.stages['run'], 0.5);
  assert.ok((answer.report.stages['queue'] ?? -1) >= 0);
  await given.host.stop();
});

test('stopping ends the run under way early, answers those that wait, and releases every expert', async () => {
  const given = new HostUnderTest();
  given.load(1, 'good', 'session');
  given.run(2, 'endless');
  given.run(3, 'say never');
  await given.until((message) => message.type === 'delta');
  await given.host.stop();
  const [second, third] = [await given.answerTo(2), await given.answerTo(3)];
  assert.ok(second.type === 'answered' && third.type === 'failed');
  assert.equal(third.failure.code, 'cancelled');
  assert.deepEqual(given.released, ['onnx/model.onnx']);
});

test('a task that fails half-way leaves no session open, and the expert can be loaded again', async () => {
  let failures = 1;
  const given = new HostUnderTest({
    findTask: async () => async (context) => {
      await context.openSession('first.onnx');
      if (failures-- > 0) throw new Error('the second file is bad');
      return await openScripted(context);
    },
  });
  given.load(1, 'good');
  const failed = await given.answerTo(1);
  assert.ok(failed.type === 'failed' && failed.failure.code === 'bad_expert');
  assert.deepEqual(given.released, ['first.onnx']);
  given.load(2, 'good');
  assert.equal((await given.answerTo(2)).type, 'loaded');
  await given.host.stop();
});

test('a runtime that cannot be started fails the load and nothing else', async () => {
  const given = new HostUnderTest({ startRuntime: () => Promise.reject(new Error('no such library')) });
  given.load(1, 'good');
  const failed = await given.answerTo(1);
  assert.ok(failed.type === 'failed' && failed.failure.message.includes('no such library'));
  await given.host.stop();
});

test('an answer that cannot be sent is a failure of its run', async () => {
  const sent: FromCell[] = [];
  const answered = Promise.withResolvers<FromCell>();
  const given = new HostUnderTest({
    send: (message) => {
      if (message.type === 'answered') throw new Error('too large');
      sent.push(message);
      if (message.type === 'failed') answered.resolve(message);
    },
  });
  given.load(1, 'good');
  given.run(2, 'say one');
  const failed = await answered.promise;
  assert.ok(failed.type === 'failed' && failed.call === 2);
  await given.host.stop();
});

test('memory is given back once there is no work, and not before', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const given = new HostUnderTest({ settleAfterMs: 1_000 });
  given.load(1, 'good');
  await given.answerTo(1);
  t.mock.timers.tick(999);
  given.run(2, 'say one');
  await given.answerTo(2);
  t.mock.timers.tick(999);
  assert.equal(given.settled, 0);
  t.mock.timers.tick(1);
  assert.equal(given.settled, 1);
  await given.host.stop();
});

/** A task whose runs take turns: each ends when it is told to, and says which others were under way. */
function openTurnTaker() {
  const underWay = new Map<string, () => void>();
  const begun: string[] = [];
  let trims = 0;
  const task: Task = {
    takesTurns: true,
    run: async (ask) => {
      const name = ask.kind === 'chat' ? ask.question : '';
      begun.push(name);
      await new Promise<void>((end) => underWay.set(name, end));
      underWay.delete(name);
      const counts = { inputTokens: 1, outputTokens: 1, cachedTokens: 0 };
      return { kind: 'text', text: name, finish: 'stop', ...counts, tokens: [] };
    },
    keptBytes: () => 100 - trims,
    trim: () => {
      trims += 1;
    },
    release: async () => {},
  };
  return { begun, task, end: (name: string) => underWay.get(name)?.() };
}

test('runs that take turns are under way at once; a load waits for them and is not passed', async () => {
  const { begun, task, end } = openTurnTaker();
  const given = new HostUnderTest({ findTask: async () => async () => task });
  given.load(1, 'good');
  await given.answerTo(1);
  given.run(2, 'first');
  given.run(3, 'second');
  assert.deepEqual(begun, ['first', 'second']);
  given.load(4, 'other');
  given.run(5, 'third');
  end('second');
  await given.answerTo(3);
  assert.deepEqual(begun, ['first', 'second'], 'nobody passes the load');
  assert.ok(!given.sent.some((message) => message.type === 'loaded' && message.call === 4));
  end('first');
  await given.answerTo(4);
  await given.until(() => true);
  end('third');
  const last = await given.answerTo(5);
  assert.ok(last.type === 'answered' && last.report.keptBytes === 100);
  await given.host.stop();
});

test('what is kept is given back between runs, and the expert stays', async () => {
  const { task, end } = openTurnTaker();
  const given = new HostUnderTest({ findTask: async () => async () => task });
  given.load(1, 'good');
  await given.answerTo(1);
  given.run(2, 'first');
  given.host.receive({ type: 'unload', call: 3, expert: 'good', part: 'kept' });
  given.run(4, 'second');
  assert.equal(task.keptBytes?.(), 100, 'not while a run is under way');
  end('first');
  const trimmed = await given.answerTo(3);
  assert.ok(trimmed.type === 'unloaded' && trimmed.unloaded.cellBytes === 5);
  end('second');
  const second = await given.answerTo(4);
  assert.ok(second.type === 'answered' && second.report.keptBytes === 99);
  assert.ok(given.settled > 0);
  await given.host.stop();
});

test('runs that take no turns do not begin beside those that do', async () => {
  const { begun, task, end } = openTurnTaker();
  const given = new HostUnderTest({
    findTask: async () => async (context) =>
      context.manifest.id === 'turns' ? task : await openScripted(context),
  });
  given.load(1, 'turns');
  given.load(2, 'good');
  await given.answerTo(2);
  given.run(3, 'first', 'turns');
  given.run(4, 'say hello', 'good');
  given.run(5, 'second', 'turns');
  end('first');
  const hello = await given.answerTo(4);
  assert.ok(hello.type === 'answered');
  await given.until(() => begun.length === 2);
  end('second');
  await given.answerTo(5);
  assert.deepEqual(
    given.sent.map((message) => ('call' in message ? message.call : null)),
    [1, 2, 3, 4, 5],
  );
  await given.host.stop();
});

/** A host with an expert whose weights are in the hands of the test. */
function withWeights(t: TestContext) {
  const memory = new ToldMemory();
  const { begun, task, end } = openTurnTaker();
  const watch = { end: () => {}, claim: () => memory } as never;
  const given = new HostUnderTest({
    parker: { folder: '/nowhere', watch: () => watch },
    findTask: async () => async (context) =>
      context.manifest.id === 'good' ? { ...task, recite: async () => Float32Array.of(1) } : task,
  });
  t.after(() => given.host.stop());
  let calls = 0;
  const unload = async (part: Part, expert = 'good') => {
    given.host.receive({ type: 'unload', call: ++calls, expert, part });
    return await given.answerTo(calls);
  };
  const load = async (expert = 'good') => {
    given.load(++calls, expert);
    return await given.answerTo(calls);
  };
  const run = (question: string, expert = 'good') => {
    given.run(++calls, question, expert);
    return given.answerTo(calls);
  };
  /** Asks, lets the run end once it has begun, and resolves with the answer. */
  const ask = async (question: string) => {
    const answer = run(question);
    while (!begun.includes(question)) await new Promise((resolve) => setImmediate(resolve));
    end(question);
    return await answer;
  };
  return { memory, given, begun, end, unload, load, run, ask };
}

test('of a parked expert is told what is cold: once parked, chilled and warmed, after the answer', async (t) => {
  const { given, memory, unload, load } = withWeights(t);
  assert.equal((await load()).type, 'loaded');
  assert.equal((await unload('weights')).type, 'unloaded');
  assert.equal((await unload('pages')).type, 'unloaded');
  const warmed = await load();
  assert.ok(warmed.type === 'loaded' && warmed.report.beforeBytes === null && warmed.report.loadMs >= 0);
  assert.ok(memory.isParked);
  assert.deepEqual(
    given.sent.map((message) => (message.type === 'cached' ? message.cached.coldBytes : message.type)),
    ['loaded', 'unloaded', 0, 'unloaded', 100, 'loaded', 0],
  );
});

test('what is not parked is not chilled, and what is resident is loaded already', async (t) => {
  const { unload, load, ask } = withWeights(t);
  await load();
  const code = (answer: FromCell) => (answer.type === 'failed' ? answer.failure.code : answer.type);
  assert.equal(code(await unload('pages')), 'not_parked');
  await unload('weights');
  await ask('first');
  assert.equal(code(await load()), 'already_loaded');
  assert.equal(code(await unload('pages')), 'not_parked');
  await load('other');
  assert.equal(code(await unload('pages', 'other')), 'not_parkable');
});

test('a run that had to bring the weights back tells how long that took, and only that one', async (t) => {
  const { unload, load, ask } = withWeights(t);
  await load();
  await unload('weights');
  const resumes: boolean[] = [];
  for (const question of ['first', 'second']) {
    const told = await ask(question);
    assert.ok(told.type === 'answered');
    resumes.push('resume' in told.report.stages);
  }
  assert.deepEqual(resumes, [true, false]);
});

test('others run while a file is read ahead, and whoever cannot ends the reading', async (t) => {
  const { memory, given, begun, end, unload, load, run } = withWeights(t);
  await load();
  await load('other');
  await unload('weights');
  await unload('pages');
  const read = Promise.withResolvers<void>();
  memory.reading = read.promise;
  const warmed = load();
  const answer = run('meanwhile', 'other');
  assert.deepEqual(begun, ['meanwhile']);
  const trimmed = unload('kept', 'other');
  end('meanwhile');
  await answer;
  read.resolve();
  await Promise.all([warmed, trimmed]);
  const last = given.sent.findLast((message) => message.type === 'cached');
  assert.deepEqual(last?.cached, { bytes: 100, coldBytes: 100 });
});
