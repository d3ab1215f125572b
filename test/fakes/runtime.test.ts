import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import type { Answer } from '../../agent/ports.ts';
import { say } from '../cells/started.ts';
import { type RuntimeUnderTest, runtimeContract } from '../contract/runtime.ts';
import { type FakeExpert, FakeRuntime } from './runtime.ts';

const talker: FakeExpert = {
  residentBytes: 1_000_000,
  run: async (ask, { signal, onDelta }) => {
    const question = ask.kind === 'chat' ? ask.question : '';
    const rest = question.slice(question.indexOf(' ') + 1);
    if (question.startsWith('throw')) throw new Error(rest);
    if (question.startsWith('spell')) for (const letter of rest) onDelta({ text: letter, tokens: [] });
    if (question !== 'endless') return text(rest, 'stop');
    onDelta({ text: 'first', tokens: [] });
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    return text('first', 'cancelled');
  },
};

function text(words: string, finish: 'stop' | 'cancelled'): Answer {
  const counts = { inputTokens: 1, outputTokens: 1, cachedTokens: 0 };
  return { kind: 'text', text: words, finish, ...counts, tokens: [] };
}

function make(): RuntimeUnderTest & { runtime: FakeRuntime } {
  const exits: { cell: string; cause: string }[] = [];
  const runtime = new FakeRuntime({
    experts: new Map<string, FakeExpert>([
      ['good', talker],
      ['other', talker],
      ['stuck', { ...talker, load: () => new Promise(() => {}) }],
      ['bad', { ...talker, load: () => Promise.reject(new AgentError('bad_expert', 'bad')) }],
    ]),
    onExit: (cell, cause) => exits.push({ cell, cause }),
  });
  return {
    runtime,
    exits,
    crash: (cell) => runtime.crash(cell),
    exited: async (cell) => exits.find((exit) => exit.cell === cell)?.cause ?? 'still running',
    [Symbol.asyncDispose]: async () => {},
  };
}

runtimeContract('fake runtime', make);

test('fake runtime: it records loads beside a lease and unloads of what is leased', async () => {
  const { runtime } = make();
  await runtime.load('fast-1', 'fast', 'good');
  const started = Promise.withResolvers<void>();
  const call = { cell: 'fast-1', lease: 1, expert: 'good', ask: say('endless') };
  const run = runtime.run(call, () => started.resolve());
  await started.promise;
  const load = runtime.load('fast-1', 'fast', 'other');
  const unload = runtime.unload('fast-1', 'good', 'all');
  runtime.cancel('fast-1', 1);
  await Promise.all([run, load, unload]);
  assert.deepEqual(runtime.violations, [
    'other was loaded in fast-1, which holds a lease',
    'good was unloaded from fast-1 while it was leased',
  ]);
});

test('fake runtime: the bytes of a cell follow what is loaded', async () => {
  const { runtime } = make();
  const report = await runtime.load('fast-1', 'fast', 'good');
  assert.equal((report.afterBytes ?? 0) - (report.beforeBytes ?? 0), talker.residentBytes);
  const { cellBytes } = await runtime.unload('fast-1', 'good', 'all');
  assert.equal(cellBytes, report.beforeBytes);
  assert.deepEqual(runtime.violations, []);
});
