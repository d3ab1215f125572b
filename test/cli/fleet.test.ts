/** The commands of the fleet, from keys to a device that follows a document; all in folders of their own. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { completionCommand } from '../../agent/cli/completion.ts';
import { dispatch } from '../../agent/cli/dispatch.ts';
import { fleetCommand } from '../../agent/cli/fleet.ts';
import type { Command } from '../../agent/cli/io.ts';
import { admitCommand, NO_COMMANDS } from '../../agent/fleet/trust/admit-command.ts';
import { admitDesired, NO_DESIRED } from '../../agent/fleet/trust/admit-desired.ts';
import { loadTrust } from '../../agent/fleet/trust/place.ts';
import { admitKeysMessage } from '../../agent/fleet/trust/trust.ts';
import { command, desired, HERE } from '../fleet/trust/made.ts';

const root = mkdtempSync(join(tmpdir(), 'expertd-fleet-'));
after(() => rmSync(root, { recursive: true, force: true }));
const at = (name: string) => join(root, name);

async function run(words: readonly string[], input = '', more: readonly Command[] = []) {
  const said = { stdout: '', stderr: '' };
  const write = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      said[name] += text;
    },
  });
  const io = {
    stdout: write('stdout'),
    stderr: write('stderr'),
    stdin: (async function* () {
      yield input;
    })(),
    env: {},
    isTTY: false,
  };
  const exitCode = await dispatch(['fleet', ...words], [fleetCommand(more)], '1.2.3', io);
  return { exitCode, ...said };
}

async function good(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(words);
  assert.equal(exitCode, 0, stderr);
  return stdout;
}

function write(name: string, value: unknown): string {
  writeFileSync(at(name), JSON.stringify(value));
  return at(name);
}

test('from keys to a device that follows what they sign', async () => {
  const made = await good(
    'keygen',
    'root',
    'release=ada',
    'command',
    '--dir',
    root,
    '--set',
    at('keys.json'),
  );
  assert.match(made, /^root {5}[0-9a-f]{32} {2}.*root\.key\nrelease {2}[0-9a-f]{32} {2}.*ada\.key\n/);
  assert.equal(statSync(at('ada.key')).mode & 0o777, 0o600);
  assert.match(readFileSync(at('ada.key'), 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
  assert.match(readFileSync(at('ada.pub'), 'utf8'), /^-----BEGIN PUBLIC KEY-----\n/);

  await good('enrol', 'kitchen-1', '--set', at('keys.json'), '--out', at('kitchen-1.json'));
  const told = await good('enrol', '--import', at('kitchen-1.json'), '--state-dir', at('state'));
  assert.match(told, /enrolled as kitchen-1, with key set 1/);
  assert.match(await good('enrol', '--show', '--state-dir', at('state')), /[0-9a-f]{32} {2}release\n/);
  const trust = loadTrust(at('state'));

  await good('sign', write('d.json', desired()), '--key', at('ada.key'), '--out', at('d.env'));
  assert.equal(admitDesired(NO_DESIRED, readFileSync(at('d.env')), trust, HERE).verdict, 'apply');
  const order = await good('sign', write('c.json', command()), '--key', at('command.key'));
  assert.equal(admitCommand(NO_COMMANDS, Buffer.from(order), false, trust, HERE).verdict, 'run');
});

test('a rotation, signed by the old root and, as an envelope, by the new one', async () => {
  const trust = loadTrust(at('state'));
  const early = ['keygen', 'root=root2', '--dir', root, '--add', `release=${at('ada2.pub')}`];
  assert.equal(
    (await run([...early, '--set', at('keys.json')])).exitCode,
    2,
    'there is no such key, and none is made',
  );
  await good('keygen', 'root=root2', 'release=ada2', '--dir', root);
  const adding = ['--add', `root=${at('root2.pub')}`, '--add', `release=${at('ada2.pub')}`];
  await good('keygen', ...adding, '--set', at('keys.json'));
  const set = JSON.parse(readFileSync(at('keys.json'), 'utf8'));
  assert.deepEqual([set.version, set.keys.length], [2, 5]);
  set.keys.splice(0, 2);
  set.revoked = [trust.ring?.keys.find(({ roles }) => roles[0] === 'release')?.id];
  await good('sign', write('keys2.json', set), '--key', at('root.key'), '--out', at('half.env'));
  assert.throws(() => admitKeysMessage(trust, readFileSync(at('half.env')), HERE), { reason: 'unknown_key' });
  await good('sign', at('half.env'), '--key', at('root2.key'), '--out', at('keys.env'));
  assert.equal(admitKeysMessage(trust, readFileSync(at('keys.env')), HERE).ring?.version, 2);

  await good('sign', at('d.json'), '--key', at('ada2.key'), '--keys', at('keys.env'), '--out', at('d2.env'));
  const verdict = admitDesired(NO_DESIRED, readFileSync(at('d2.env')), trust, HERE);
  assert.deepEqual([verdict.verdict, verdict.trust.ring?.version], ['apply', 2]);
});

test('enrolment by token: the secret to stdout, the proof to a file', async () => {
  const token = await good(
    'enrol',
    'kitchen-1',
    '--set',
    at('keys.json'),
    '--token',
    '--out',
    at('first.env'),
  );
  assert.ok(!readFileSync(at('first.env'), 'utf8').includes(token.trim()));
  const { exitCode, stdout } = await run(['enrol', '--import', '-', '--state-dir', at('new')], token);
  assert.equal(exitCode, 0);
  assert.match(stdout, /has a token/);
  assert.match(await good('enrol', '--show', '--state-dir', at('new')), /no keys, but a token/);
  const trust = admitKeysMessage(loadTrust(at('new')), readFileSync(at('first.env')), HERE);
  assert.deepEqual([trust.device, trust.ring?.version], ['kitchen-1', 2]);
});

test('nothing is overwritten, and keys are replaced only where that was said', async () => {
  const before = readFileSync(at('root.key'), 'utf8');
  const again = await run(['keygen', 'root', '--dir', root]);
  assert.equal(again.exitCode, 1);
  assert.match(again.stderr, /root\.key exists/);
  assert.equal(readFileSync(at('root.key'), 'utf8'), before);
  const over = ['enrol', '--import', at('kitchen-1.json'), '--state-dir', at('state')];
  const refused = await run(over);
  assert.deepEqual([refused.exitCode, /--replace/.test(refused.stderr)], [4, true]);
  await good(...over, '--replace');
});

test('what is wrong is said with the file and the mending', async () => {
  const fails = async (words: readonly string[], exitCode: number, message: RegExp, input = '') => {
    const { exitCode: ended, stderr, stdout } = await run(words, input);
    assert.equal(ended, exitCode, stderr);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  };
  const key = ['--key', at('ada.key')];
  const bad = write('bad.json', { ...desired(), experts_removed: [] });
  await fails(['sign', bad, ...key], 1, /bad\.json: "experts_removed" .*\nDid you mean "experts_remove"/);
  await fails(['sign', '-', ...key], 1, /-: "id" is missing/, JSON.stringify({ v: 1, ctr: 1 }));
  await fails(['sign', write('x.json', { hello: 1 }), ...key], 1, /no desired document, no command/);
  await fails(['sign', at('kitchen-1.json'), ...key], 1, /An enrolment is not signed/);
  await fails(['sign', at('d.json')], 2, /with which key/);
  await fails(['sign', at('d.json'), '--key', at('ada.pub')], 1, /ada\.pub is no private key/);
  await fails(['sign', at('gone.json'), ...key], 2, /ENOENT.*gone\.json/);
  await fails(['sign', at('d.json'), '--minisig', at('d.json')], 2, /belong together/);
  await fails(['sign', at('d.json'), ...key, '--keys', at('d.env')], 1, /d\.env: the payload is of type/);
  await fails(['keygen', 'rot'], 2, /begins with no role/);
  await fails(['keygen', 'root=a', 'release=a'], 2, /both be called "a"/);
  await fails(['keygen', 'root=../a'], 2, /cannot be the name/);
  await fails(['enrol', 'ctl', '--set', at('keys.json')], 1, /no device is called/);
  await fails(['enrol', 'kitchen-1', '--set', at('d.json')], 1, /d\.json: /);
  await fails(['enrol', '--import', at('d.json'), '--state-dir', at('other')], 1, /d\.json: /);
  await fails(['enrol', 'kitchen-1', '--set', at('keys.json'), '--token'], 2, /needs --out/);
  chmodSync(at('ada.key'), 0o644);
  const { exitCode, stderr } = await run(['sign', at('d.json'), ...key]);
  assert.deepEqual([exitCode, /can be read by others/.test(stderr)], [0, true]);
});

test('a group has its own help, near misses and completion, and takes further commands', async () => {
  const collect: Command = {
    name: 'collect',
    summary: 'keeps records',
    usage: 'Usage: expertd fleet collect',
    flags: { folder: { type: 'string' } },
    run: async (args, io) => {
      io.stdout.write(args.join('+'));
      return 0;
    },
  };
  const of = (words: readonly string[]) => run(words, '', [collect]);
  assert.match(
    (await of(['--help'])).stdout,
    /keygen {5}make keys.*\n.*sign.*\n.*enrol.*\n {2}collect {4}keeps records/,
  );
  assert.match((await of(['sign', '--help'])).stdout, /^Usage: expertd fleet sign/);
  assert.equal((await of(['collect', 'a', '--b'])).stdout, 'a+--b');
  const none = await of([]);
  assert.deepEqual([none.exitCode, /keygen, sign, enrol, collect/.test(none.stderr)], [2, true]);
  const near = await of(['collekt']);
  assert.match(near.stderr, /there is no command "collekt"\nDid you mean "collect"\? "expertd fleet --help"/);
  assert.match((await of(['sign', '--kye', 'x'])).stderr, /--key.*\nSee: expertd fleet sign --help/s);
  const script: string[] = [];
  const io = { stdout: { write: (text: string) => script.push(text) }, stderr: { write() {} } };
  const completing = completionCommand([fleetCommand([collect])]);
  await completing.run(['bash'], { ...io, stdin: (async function* () {})(), env: {}, isTTY: false });
  assert.match(script.join(''), / {4}fleet\) .*--minisig.*--folder.*"keygen sign enrol collect"/);
});
