/** What the operator's commands write and sign themselves, as a device judges it; the broker is a list. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { dispatch } from '../../agent/cli/dispatch.ts';
import { fleetCommand } from '../../agent/cli/fleet.ts';
import { operatorCommands } from '../../agent/cli/fleet-operator.ts';
import { ORDERS } from '../../agent/cli/fleet-order.ts';
import { spanMs } from '../../agent/cli/fleet-times.ts';
import type { CommandAnswer, FleetTools } from '../../agent/cli/fleet-tools.ts';
import { COMMAND_TYPES, type Command, MAX_LIFE_SECONDS } from '../../agent/fleet/documents/command.ts';
import { admitCommand, type CommandMemory, NO_COMMANDS } from '../../agent/fleet/trust/admit-command.ts';
import { admitDesired, NO_DESIRED } from '../../agent/fleet/trust/admit-desired.ts';
import { writeEnvelope } from '../../agent/fleet/trust/dsse.ts';
import { newCommand } from '../../agent/fleet/trust/issue.ts';
import type { Circumstances } from '../../agent/fleet/trust/trust.ts';
import { COMMAND, command, desired, ENROLLED, envelope, keySet, RELEASE, ROOT } from '../fleet/trust/made.ts';

const folder = mkdtempSync(join(tmpdir(), 'expertd-operator-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
const DEVICE = 'kitchen-1';
const URL_FLAGS = ['--url', 'mqtt://broker'];
const SIGNED = [...URL_FLAGS, '--key', at('command.key')];

before(() => {
  for (const [name, { key }] of Object.entries({ command: COMMAND, release: RELEASE }))
    writeFileSync(at(`${name}.key`), String(key.export({ type: 'pkcs8', format: 'pem' })), { mode: 0o600 });
});

interface Sent {
  readonly device: string;
  readonly envelope: Uint8Array;
}

async function run(words: readonly string[], answers: readonly CommandAnswer[] = [], input = '') {
  const said = { stdout: '', stderr: '' };
  const sent: Sent[] = [];
  const unused = () => Promise.reject(new Error('not asked for here'));
  const tools: FleetTools = {
    collect: unused,
    openArchive: unused,
    twin: unused,
    setDesired: async (_choice, device, bytes) => void sent.push({ device, envelope: bytes }),
    command: async (_choice, device, bytes, _waitMs, onAnswer) => {
      sent.push({ device, envelope: bytes });
      answers.forEach(onAnswer);
      return true;
    },
  };
  const write = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      said[name] += text;
    },
  });
  const stdin = (async function* () {
    yield input;
  })();
  const io = { stdout: write('stdout'), stderr: write('stderr'), stdin, env: {}, isTTY: false };
  const commands = [fleetCommand(operatorCommands(tools))];
  const exitCode = await dispatch(['fleet', ...words], commands, '1.2.3', io);
  return { exitCode, sent, ...said };
}

const here = (): Circumstances => ({ device: DEVICE, groups: [], nowMs: Date.now(), clockTrusted: true });
const DONE: CommandAnswer = { state: 'SUCCEEDED', reason: null, detail: null, isFinal: true };

/** Sends these words; resolves with the command that the device is told to run. */
async function order(...words: readonly string[]): Promise<Command> {
  const { exitCode, sent, stderr } = await run(['cmd', DEVICE, ...words, ...SIGNED], [DONE]);
  assert.equal(exitCode, 0, stderr);
  const verdict = admitCommand(NO_COMMANDS, sent[0]?.envelope ?? Buffer.of(), false, ENROLLED, here());
  assert.ok(verdict.verdict === 'run', JSON.stringify(verdict));
  return verdict.command;
}

test('each command is written, signed and taken by the device that it is for', async () => {
  const wanted: readonly (readonly [words: string, args: unknown])[] = [
    ...['load', 'park', 'unload', 'pin', 'unpin', 'clear'].map(
      (type) => [`${type} medical`, { expert: 'medical' }] as const,
    ),
    ['restart', {}],
    ['diagnostics', {}],
    ['diagnostics log state', { parts: ['log', 'state'] }],
    [
      'policy residency=lru minScore=0.4 router=nearest',
      { residency: 'lru', minScore: 0.4, router: ['nearest'] },
    ],
    ['policy router=rules,nearest tieMargin=0', { router: ['rules', 'nearest'], tieMargin: 0 }],
  ];
  for (const [words, args] of wanted) {
    const [type = '', ...rest] = words.split(' ');
    const sent = await order(type, ...rest);
    assert.deepEqual([sent.type, sent.args, sent.aud], [type, args, DEVICE], words);
  }
  assert.deepEqual([...ORDERS].sort(), [...COMMAND_TYPES].sort(), 'no command is left out');
});

test('a command is good for an hour, or as long as it was said; it is counted by the clock', async () => {
  const lives = new Map([
    [[], 3_600],
    [['--expires', '30s'], 30],
    [['--expires', '31d'], MAX_LIFE_SECONDS],
  ]);
  for (const [flags, seconds] of lives) {
    const beforeMs = Date.now();
    const { nbf, exp, ctr } = await order('restart', ...flags);
    assert.ok(ctr >= beforeMs && ctr <= Date.now());
    const now = Math.floor(ctr / 1_000);
    assert.ok([0, 1].includes(exp - now - seconds), `${exp - now}`);
    assert.equal(nbf, Math.max(now - 60, exp - MAX_LIFE_SECONDS));
  }
});

test('a device takes one command after the other of the same key, and none with the clock of an earlier one', () => {
  const { nowMs } = here();
  const send = (memory: CommandMemory, atMs: number) => {
    const made = newCommand({ type: 'restart', args: {}, device: DEVICE }, atMs, 60);
    const bytes = Buffer.from(writeEnvelope(envelope('command', made, COMMAND)));
    return admitCommand(memory, bytes, false, ENROLLED, here());
  };
  const first = send(NO_COMMANDS, nowMs);
  const second = send(first.memory, nowMs + 1);
  assert.deepEqual([first.verdict, second.verdict], ['run', 'run']);
  assert.equal(new Set(second.memory.results.map(({ id }) => id)).size, 2);
  const early = send(second.memory, nowMs - 5_000);
  assert.equal('reason' in early ? early.reason : null, 'low_counter');
});

test('what the device says ends the command', async () => {
  const say = (...answers: CommandAnswer[]) => run(['cmd', DEVICE, 'restart', ...SIGNED], answers);
  const going: CommandAnswer = { ...DONE, state: 'ACCEPTED', isFinal: false };
  const done = await say(going, { ...DONE, detail: 'well' });
  assert.equal(done.exitCode, 0);
  assert.equal(done.stdout, 'well\n');
  assert.match(done.stderr, /^command [0-9a-f-]{36}\nACCEPTED\nSUCCEEDED\n$/);
  const refused = await say({ ...DONE, state: 'REJECTED', reason: 'expired' });
  assert.deepEqual([refused.exitCode, /REJECTED \(expired\)/.test(refused.stderr)], [4, true]);
  assert.equal((await say({ ...DONE, state: 'FAILED' })).exitCode, 1);
  const slow = await say(going);
  assert.deepEqual([slow.exitCode, /no last answer within 60 s/.test(slow.stderr)], [1, true]);
  assert.doesNotMatch(slow.stderr, /trust the key/);
  assert.match((await say()).stderr, /where it does not trust the key/);
});

test('an envelope that was made elsewhere goes out as it is', async () => {
  const text = writeEnvelope(envelope('command', command(), COMMAND));
  writeFileSync(at('c.dsse'), text);
  const byFile = await run(['cmd', DEVICE, '--file', at('c.dsse'), ...URL_FLAGS], [DONE]);
  assert.deepEqual([byFile.exitCode, String(byFile.sent[0]?.envelope)], [0, text]);
  const byPipe = await run(['cmd', DEVICE, '--file', '-', ...URL_FLAGS], [DONE], text);
  assert.equal(String(byPipe.sent[0]?.envelope), text);
  assert.equal(byPipe.stderr, 'SUCCEEDED\n');
});

test('a key set goes along, and several keys sign', async () => {
  writeFileSync(at('keys.env'), writeEnvelope(envelope('keys', keySet({ version: 2 }), ROOT)));
  const flags = [...SIGNED, '--key', at('release.key'), '--keys', at('keys.env')];
  const { sent, exitCode, stderr } = await run(['cmd', DEVICE, 'restart', ...flags], [DONE]);
  assert.equal(exitCode, 0, stderr);
  const { signatures, keys } = JSON.parse(String(sent[0]?.envelope));
  assert.deepEqual([signatures.length, keys.length], [2, 1]);
});

test('a desired document is checked and signed as the bytes that it is', async () => {
  const text = JSON.stringify(desired({ exp: Math.floor(Date.now() / 1_000) + 60 }), null, 2);
  writeFileSync(at('d.json'), text);
  const key = ['--key', at('release.key')];
  const { exitCode, stderr, sent } = await run(['twin', 'set', DEVICE, at('d.json'), ...URL_FLAGS, ...key]);
  assert.equal(exitCode, 0, stderr);
  const bytes = sent[0]?.envelope ?? Buffer.of();
  assert.equal(Buffer.from(JSON.parse(String(bytes)).payload, 'base64').toString(), text);
  assert.equal(admitDesired(NO_DESIRED, bytes, ENROLLED, here()).verdict, 'apply');
  writeFileSync(at('d.dsse'), bytes);
  const again = await run(['twin', 'set', DEVICE, at('d.dsse'), ...URL_FLAGS]);
  assert.deepEqual(Buffer.from(again.sent[0]?.envelope ?? []), readFileSync(at('d.dsse')));
});

test('what is wrong is named with its mending, and nothing is sent', async () => {
  const fails = async (words: readonly string[], exitCode: number, message: RegExp) => {
    const { exitCode: ended, stderr, stdout, sent } = await run(words);
    assert.equal(ended, exitCode, stderr);
    assert.match(stderr, message);
    assert.deepEqual([sent, stdout], [[], '']);
  };
  const cmd = (message: RegExp, ...words: string[]) =>
    fails(['cmd', DEVICE, ...words, ...SIGNED], 2, message);
  await fails(['cmd'], 2, /which device\?.*cmd DEVICE COMMAND/s);
  await fails(['cmd', DEVICE, ...SIGNED], 2, /shall do what\?.*There are: load, .*--file ENVELOPE/s);
  await fails(['cmd', DEVICE, 'restart', ...URL_FLAGS], 2, /restart: signed with which key\?.*--key FILE/s);
  await fails(['cmd', DEVICE, 'restart', '--key', at('command.key')], 2, /at which broker\?/);
  await fails(['cmd', DEVICE, 'restart', ...URL_FLAGS, '--key', at('none.key')], 2, /ENOENT.*none\.key/);
  await fails(['cmd', 'ctl', 'restart', ...SIGNED], 2, /"aud" names "ctl", which no device is called/);
  await fails(['cmd', 'a/b', 'restart', ...SIGNED], 2, /a\/b: "aud" must be/);
  await cmd(/there is no command "lode"\nDid you mean "load"/, 'lode', 'medical');
  await cmd(/there is no command "c\.dsse".*--file ENVELOPE/s, 'c.dsse');
  await cmd(/load which one expert\?/, 'load');
  await cmd(/pin which one expert\?/, 'pin', 'a', 'b');
  await cmd(/args of load: "expert" must be/, 'load', 'Über');
  await cmd(/restart takes nothing after it: "now"/, 'restart', 'now');
  await cmd(
    /args of diagnostics: "parts\[0\]" must be "state" or "decisions" or "log"/,
    'diagnostics',
    'logs',
  );
  await cmd(/policy: which KEY=VALUE\?\nKeys are: router, residency, /, 'policy');
  await cmd(/policy: "residency" must be KEY=VALUE/, 'policy', 'residency');
  await cmd(/policy: "minScore" is there twice/, 'policy', 'minScore=1', 'minScore=1');
  await cmd(/"minscore" is not a field.*\nDid you mean "minScore"/, 'policy', 'minscore=1');
  await cmd(/"__proto__" is not a field/, 'policy', '__proto__=1');
  await cmd(/"minScore" must be at most 1/, 'policy', 'minScore=2');
  for (const text of ['', ' ', 'high', 'Infinity', 'NaN'])
    await cmd(/"minScore" must be a number/, 'policy', `minScore=${text}`);
  await cmd(/"residency" must be "lru" or "gdsf"/, 'policy', 'residency=fifo');
  for (const time of ['0s', '1', '1w', '32d', '745h', '-1h'])
    await cmd(/--expires "\S+" is no time from 1s to 31d/, 'restart', `--expires=${time}`);
  await fails(['cmd', DEVICE, 'load', '--file', 'x', ...URL_FLAGS], 2, /either --file or "load"/);
  await fails(['cmd', DEVICE, '--file', 'x', ...SIGNED], 2, /leave out --key/);

  const set = (message: RegExp, exitCode: number, document: unknown, ...flags: string[]) => {
    writeFileSync(at('x.json'), JSON.stringify(document));
    return fails(['twin', 'set', DEVICE, at('x.json'), ...URL_FLAGS, ...flags], exitCode, message);
  };
  const key = ['--key', at('release.key')];
  await set(/x\.json is not signed\nGive --key FILE/, 2, desired());
  await set(
    /x\.json: "aud" is "kitchen-2", and not "kitchen-1"\nName this device/,
    1,
    desired({ aud: 'kitchen-2' }),
    ...key,
  );
  await set(/x\.json: "gen" must be at least 1/, 1, desired({ gen: 0 }), ...key);
  await set(/no desired document, but one of the kind "command"/, 1, command(), ...key);
  await set(/x\.json: "v" is missing/, 1, {}, ...key);
  await set(/is an envelope, and goes out as it is: leave out/, 2, { payload: '' }, ...key);
});

test('spans of time', () => {
  assert.deepEqual(['90s', '2m', '3h', '1d'].map(spanMs), [90_000, 120_000, 10_800_000, 86_400_000]);
  for (const text of ['', 's', '1', '1w', '1.5h', '-1h', ' 1h', '1h ', '1000000s', 'constructor'])
    assert.equal(spanMs(text), null, text);
});
