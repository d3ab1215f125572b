import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chronicle } from '../agent/chronicle.ts';
import { initialState } from '../agent/decide.ts';
import type { Event } from '../agent/events.ts';
import { openLogger } from '../agent/logging.ts';
import type { Decision, Step } from '../agent/types.ts';
import { features, settings } from './core/made.ts';

const state = initialState(settings(), 1);
const report = { beforeBytes: 1, afterBytes: 2, peakBytes: 2, loadMs: 3 };
const unload: Step = { type: 'unload', expert: 'a', cell: 'fast-1' };
const load: Step = { type: 'load', expert: 'a', cell: 'fast-1', lane: 'fast', fresh: true };
const error = { code: 'load_failed', message: 'broken', hint: null, retryable: false };
const EVENTS = {
  request: {
    type: 'request',
    request: 'r1',
    want: 'chat',
    model: null,
    features: features(),
    waitMs: 0,
    keepAliveMs: null,
    atMs: 0,
  },
  loaded: { type: 'loaded', expert: 'a', cell: 'fast-1', report, atMs: 0 },
  loadFailed: { type: 'loadFailed', expert: 'a', cell: 'fast-1', error, atMs: 0 },
  cellExited: {
    type: 'cellExited',
    cell: 'fast-1',
    cause: 'killed by SIGSEGV',
    oomKilled: false,
    answered: [],
    atMs: 0,
  },
  command: { type: 'command', command: 'load', expert: 'a', atMs: 0 },
} as const satisfies Record<string, Event>;

function setUp() {
  const lines: { level: string; msg: string; decision: number }[] = [];
  const log = openLogger({
    level: 'trace',
    isTTY: false,
    toJournal: false,
    write: (line) => void lines.push(JSON.parse(line)),
  });
  return { chronicle: new Chronicle(log), lines };
}

function decision(reasons: readonly string[], steps: readonly Step[] = []): Decision {
  return { reasons, choice: null, steps, state };
}

test('what happened is counted', () => {
  const { chronicle } = setUp();
  chronicle.note(EVENTS.request, decision([], [load, unload, unload]), 1);
  chronicle.note(EVENTS.loaded, decision([]), 2);
  chronicle.note(EVENTS.loadFailed, decision([]), 3);
  chronicle.note(EVENTS.cellExited, decision([]), 4);
  chronicle.note(EVENTS.cellExited, decision([]), 5);
  assert.deepEqual(chronicle.counts, { loads: 1, loadFailures: 1, evictions: 2, cellExits: 2 });
});

test('a decision is one line with its number and its reasons; one without reasons is none', () => {
  const { chronicle, lines } = setUp();
  chronicle.note(EVENTS.command, decision(['first', 'second']), 7);
  chronicle.note(EVENTS.command, decision([]), 8);
  assert.deepEqual(
    lines.map(({ decision: sequence, msg }) => [sequence, msg]),
    [[7, 'first; second']],
  );
});

test('what every request has is for those who debug, unless something is loaded or unloaded for it', () => {
  const { chronicle, lines } = setUp();
  chronicle.note(EVENTS.request, decision(['chosen']), 1);
  chronicle.note(EVENTS.request, decision(['chosen, and loaded'], [load]), 2);
  chronicle.note(EVENTS.command, decision(['by hand']), 3);
  chronicle.note(EVENTS.loadFailed, decision(['broken']), 4);
  chronicle.note(EVENTS.cellExited, decision(['gone']), 5);
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['debug', 'info', 'info', 'warning', 'warning'],
  );
});
