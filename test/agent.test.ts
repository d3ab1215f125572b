import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { AgentError } from '../agent/errors.ts';
import type { Answer } from '../agent/ports.ts';
import { MadeAgent, type MadeOptions, outcomeOf, question } from './agent-made.ts';
import { WORDS } from './engine.ts';

const made: MadeAgent[] = [];
afterEach(async () => {
  for (const one of made.splice(0)) {
    const ended = one.agent.stop(0);
    await one.pass(1);
    await ended;
    rmSync(one.folder, { recursive: true, force: true });
  }
});

function make(options: MadeOptions = {}): MadeAgent {
  const one = new MadeAgent(options);
  made.push(one);
  return one;
}

async function started(options: MadeOptions = {}): Promise<MadeAgent> {
  const one = make(options);
  await one.agent.start();
  return one;
}

const never = new AbortController().signal;
const slow = () => {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  return { run: () => promise, end: () => resolve(WORDS) };
};

test('a question is answered; its record has its sum, and its text only where that is wanted', async () => {
  for (const text of [false, true]) {
    const { agent, store, lines } = await started({ experts: { a: {} }, config: { log: { text } } });
    const reply = await agent.ask(question('a canary', 'a'), {}, never);
    assert.deepEqual([reply.expert, reply.answer, reply.degraded], ['a', WORDS, undefined]);
    const asked = store.entries.find(({ event }) => event.type === 'request')?.asked;
    assert.deepEqual(asked, { sha256: 'sum of 14', chars: 14, text: text ? 'user: a canary' : null });
    const events = JSON.stringify(store.entries.map(({ event, decision }) => [event, decision.reasons]));
    assert.ok(!`${events}${lines.join('')}`.includes('canary'));
  }
});

test('who answers is told before the first piece of text', async () => {
  const heard: string[] = [];
  const { agent } = await started({
    experts: { b: { task: 'text-generation' } },
    scripts: {
      b: {
        run: async (_, { onDelta }) => {
          onDelta({ text: 'wo', tokens: [] });
          onDelta({ text: 'rds', tokens: [] });
          return WORDS;
        },
      },
    },
  });
  const listeners = {
    onChosen: ({ expert, decision, residency }: { expert: unknown; decision: number; residency: unknown }) =>
      heard.push(`chosen ${expert} ${residency} ${decision > 0}`),
    onDelta: ({ text }: { text: string }) => heard.push(text),
  };
  await agent.ask(question('x', 'b'), listeners, never);
  assert.deepEqual(heard, ['chosen b absent true', 'wo', 'rds']);
});

test('before its experts were read, and once it stops, it refuses at once', async () => {
  const one = make({ experts: { a: {} } });
  const starting = one.agent.start();
  const early = outcomeOf(one.agent.ask(question('x', 'a'), {}, never));
  assert.equal(one.agent.health().ready, false);
  await starting;
  assert.equal(one.agent.health().ready, true);
  assert.equal(early.refusal?.failure.code, 'not_ready');
  await one.agent.stop(1_000);
  const late = outcomeOf(one.agent.ask(question('x', 'a'), {}, never));
  await one.settled();
  assert.equal(late.refusal?.failure.code, 'shutting_down');
  assert.equal(one.agent.health().ready, false);
});

test('an experts folder that cannot be read ends the start, and the agent can still be stopped', async () => {
  const one = make();
  rmSync(one.expertsDir, { recursive: true });
  await assert.rejects(one.agent.start(), (error) => {
    assert.ok(error instanceof AgentError && error.code === 'bad_config');
    assert.match(error.message, /experts folder/);
    return true;
  });
  assert.equal(one.agent.health().ready, false);
  await one.agent.stop(1_000);
  assert.equal(one.clock.pending, 0);
});

test('stop() during the start: nothing is begun afterwards', async () => {
  const one = make({ experts: { a: {} }, config: { experts: [{ id: 'ghost' }] } });
  const starting = one.agent.start();
  await one.agent.stop(1_000);
  await starting;
  await one.settled();
  assert.equal(one.agent.health().ready, false);
  assert.deepEqual([one.store.entries.length, one.clock.pending], [0, 0]);
});

test('stop() waits for what is under way, and refuses what has not ended by the deadline', async () => {
  for (const inTime of [true, false]) {
    const { run, end } = slow();
    const one = await started({ experts: { a: {} }, scripts: { a: { run } } });
    const asked = outcomeOf(one.agent.ask(question('x', 'a'), {}, never));
    await one.running();
    let stopped = false;
    const stopping = one.agent.stop(5_000).then(() => {
      stopped = true;
    });
    await one.pass(4_000);
    assert.deepEqual([asked.times, stopped], [0, false], 'it waits');
    if (inTime) end();
    else one.clock.advance(1_000);
    await stopping;
    assert.equal(asked.times, 1);
    if (inTime) assert.deepEqual(asked.reply?.answer, WORDS);
    else assert.equal(asked.refusal?.failure.code, 'shutting_down');
    assert.equal(one.runtime.pids().size, 0);
    end();
    await one.settled();
    assert.equal(asked.times, 1);
  }
});

test('stop() during a load, twice, and with a cell that ends meanwhile', async () => {
  const load = () => new Promise<void>(() => {});
  const one = await started({ experts: { a: {} }, scripts: { a: { load } } });
  const asked = outcomeOf(one.agent.ask(question('x', 'a'), {}, never));
  await one.until('a cell', () => one.runtime.pids().size === 1);
  const stops = [one.agent.stop(2_000), one.agent.stop(2_000)];
  await one.settled();
  assert.ok(one.runtime.crash('fast-1'));
  await one.pass(2_000);
  await Promise.all(stops);
  assert.deepEqual([asked.times, asked.refusal?.failure.code], [1, 'shutting_down']);
  assert.equal(one.runtime.pids().size, 0);
});

test('whoever hangs up is told so once, before the request is decided, during the load and the run', async () => {
  for (const moment of ['before', 'load', 'run', 'after'] as const) {
    const { run, end } = slow();
    const gate = Promise.withResolvers<void>();
    const load = () => (moment === 'load' ? gate.promise : Promise.resolve());
    const one = await started({ experts: { a: {} }, scripts: { a: { run, load } } });
    const controller = new AbortController();
    if (moment === 'before') controller.abort();
    const asked = outcomeOf(one.agent.ask(question('x', 'a'), {}, controller.signal));
    if (moment === 'load') await one.until('a cell', () => one.runtime.pids().size === 1);
    if (moment === 'run' || moment === 'after') await one.running();
    if (moment === 'after') end();
    await one.settled();
    controller.abort();
    await one.settled();
    gate.resolve();
    end();
    await one.until('nothing under way', () => one.agent.state().running === 0);
    const expected = moment === 'after' ? [1, undefined] : [1, 'hung_up'];
    assert.deepEqual([asked.times, asked.refusal?.failure.code], expected, moment);
    assert.deepEqual([one.agent.state().waiting, one.runtime.violations], [0, []], moment);
  }
});

test('a log that cannot be written is said in the answer and in the health; answers go on', async () => {
  const { agent, store } = await started({ experts: { a: {} } });
  store.full = true;
  const reply = await agent.ask(question('x', 'a'), {}, never);
  assert.deepEqual([reply.answer, reply.degraded], [WORDS, 'not-recorded']);
  assert.deepEqual(
    agent.health().problems.map(({ code }) => code),
    ['log_degraded'],
  );
});

test('a subscriber that throws takes no answer and no other subscriber with it', async () => {
  const { agent, lines } = await started({ experts: { a: {} } });
  const heard: number[] = [];
  agent.subscribe(() => {
    throw new Error('a broken listener');
  });
  const end = agent.subscribe(({ id }) => void heard.push(id));
  assert.equal((await agent.ask(question('x', 'a'), {}, never)).expert, 'a');
  end();
  const before = heard.length;
  await agent.ask(question('x', 'a'), {}, never);
  assert.equal(heard.length, before, 'it was ended');
  assert.ok(before > 0 && lines.some((line) => /this is a bug/.test(line)));
});

// ---- the configuration ------------------------------------------------------------------------------------------

test('roles that nobody fills are told in the log and in the health, until somebody does', async () => {
  const config = { embedder: 'nowhere', generalist: 'e' };
  const one = await started({ experts: { e: { task: 'feature-extraction' } }, config });
  const problems = one.agent.health().problems;
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['no_embedder', 'no_generalist'],
  );
  assert.match(problems[0]?.message ?? '', /"nowhere" as embedder, which is not installed/);
  assert.match(problems[1]?.message ?? '', /"e" as generalist, which does feature-extraction/);
  assert.equal(one.lines.filter((line) => /a role is vacant/.test(line)).length, 2);
  await one.agent.reload(one.config({ embedder: 'e' }));
  assert.deepEqual(one.agent.health().problems, []);
});

test('a configuration that cannot be used changes nothing', async () => {
  const one = await started({ experts: { a: {} }, config: { memory: { budget: '400MB' } } });
  await one.agent.ask(question('x', 'a'), {}, never);
  await assert.rejects(one.agent.reload(one.config({ memory: { budget: '1MB' } })), /less than/);
  assert.equal(one.agent.state().budgetBytes, 400e6);
  rmSync(one.expertsDir, { recursive: true });
  await assert.rejects(one.agent.reload(one.config({ memory: { budget: '500MB' } })), /experts folder/);
  assert.equal(one.agent.state().budgetBytes, 400e6);
  assert.equal((await one.agent.ask(question('x', 'a'), {}, never)).expert, 'a');
});

test('configurations are taken one after the other: the last one stays', async () => {
  const one = await started({ experts: { a: {} } });
  // The first has something to look for on the disk, the second has not.
  const slower = one.config({ memory: { budget: '300MB' }, experts: [{ id: 'ghost' }] });
  const faster = one.config({ memory: { budget: '500MB' } });
  await Promise.all([one.agent.reload(slower), one.agent.reload(faster)]);
  await one.settled();
  assert.equal(one.agent.state().budgetBytes, 500e6);
  assert.deepEqual(
    one.agent.experts().map(({ id }) => id),
    ['a'],
  );
});

test('a reload during the start waits for it', async () => {
  const one = make({ experts: { a: {} } });
  const starting = one.agent.start();
  await Promise.all([one.agent.reload(one.config({ memory: { budget: '500MB' } })), starting]);
  assert.equal(one.agent.state().budgetBytes, 500e6);
  assert.equal(one.agent.health().ready, true);
});

test('without a budget a reload does not take for lost what expertd itself has taken since', async () => {
  const one = await started();
  const before = one.agent.state().budgetBytes;
  one.device = { ...one.device, availableBytes: one.device.availableBytes / 2 };
  await one.agent.reload(one.config());
  assert.equal(one.agent.state().budgetBytes, before);
});

test('a reload changes the level of the log, and says what waits for the next start', async () => {
  const one = await started();
  await one.agent.reload(one.config({ log: { level: 'warn' }, http: { port: 1 } }));
  assert.ok(one.lines.some((line) => /"http: what changed there counts from the next start on"/.test(line)));
  one.lines.length = 0;
  await one.agent.reload(one.config({ log: { level: 'warn' }, http: { port: 1 } }));
  assert.deepEqual(one.lines, []);
});

test('an expert that is removed while it works ends its work first', async () => {
  const { run, end } = slow();
  const one = await started({ experts: { a: {} }, scripts: { a: { run } } });
  const asked = outcomeOf(one.agent.ask(question('x', 'a'), {}, never));
  await one.running();
  rmSync(`${one.expertsDir}/a`, { recursive: true });
  await one.agent.reload(one.config());
  const late = outcomeOf(one.agent.ask(question('x', 'a'), {}, never));
  await one.settled();
  assert.deepEqual([asked.times, late.refusal?.failure.code], [0, 'model_not_found']);
  end();
  await one.until('it has left', () => one.agent.experts().length === 0);
  assert.equal(asked.reply?.expert, 'a');
  assert.deepEqual(one.runtime.violations, []);
});

// ---- dry runs ---------------------------------------------------------------------------------------------------

const worded = { routing: { languages: ['*'], examples: [], rules: [{ any: ['alpha'] }] } };
const dryRun = (one: MadeAgent, text: string) => one.agent.route({ question: text, focus: text });

test('a dry run chooses, and nothing is recorded or loaded', async () => {
  const one = await started({ experts: { a: worded } });
  const before = one.store.entries.length;
  const choice = await dryRun(one, 'alpha?');
  assert.deepEqual([choice.expert, choice.router], ['a', 'rules']);
  assert.equal((await dryRun(one, 'nothing')).expert, null);
  await one.settled();
  assert.deepEqual([one.store.entries.length, one.runtime.pids().size], [before, 0]);
});

test('a dry run whose embedder fails, or says nothing in time, chooses by words', async () => {
  for (const run of [
    () => Promise.reject(new AgentError('run_failed', 'the graph fails')),
    () => new Promise<Answer>(() => {}),
  ]) {
    const one = await started({
      experts: { a: worded, e: { task: 'feature-extraction' } },
      scripts: { e: { run } },
      config: { embedder: 'e', policies: { router: ['nearest'] } },
    });
    await one.until('the embedder is there', () => one.stateOf('e') === 'resident');
    const choosing = dryRun(one, 'alpha?');
    await one.pass(10_000);
    assert.equal((await choosing).expert, null);
  }
});

test('a dry run is refused as a request would be', async () => {
  const one = await started({
    config: { limits: { maxQueue: 1 } },
    experts: { a: {} },
    scripts: { a: slow() },
  });
  outcomeOf(one.agent.ask(question('x', 'a'), {}, never));
  await one.settled();
  await assert.rejects(dryRun(one, 'x'), ({ failure }: { failure: { code: string } }) => {
    assert.equal(failure.code, 'queue_full');
    return true;
  });
});

test('a start does not wait for the prepared folders to be tidied, and hears of it when that fails', async () => {
  const tidying = Promise.withResolvers<void>();
  const preparation = {
    prepare: async () => {},
    find: () => null,
    status: () => null,
    tidy: () => tidying.promise,
    stop: async () => {},
  };
  const made = make({ experts: { a: {} }, preparation });
  await made.agent.start();
  assert.ok(made.agent.health().ready);
  tidying.reject(new Error('read-only'));
  await made.settled();
  assert.ok(made.lines.some((line) => /stays on the disk/.test(line)));
});
