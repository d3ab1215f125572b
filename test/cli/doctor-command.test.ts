/** `expertd doctor` as a command: with an agent, without one, with one that does not answer. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ConfigChoice } from '../../agent/cli/check.ts';
import { doctorCommand } from '../../agent/cli/doctor.ts';
import type { Finding } from '../../agent/cli/findings.ts';
import type { Io } from '../../agent/cli/io.ts';
import type { Survey } from '../../agent/device.ts';
import { HttpServer } from '../../agent/http/server.ts';
import { FakeService } from '../fakes/service.ts';
import { healthySurvey } from '../fakes/survey.ts';
import { LOCAL } from '../http/harness.ts';

const service = new FakeService();
const server = new HttpServer(service, LOCAL, { error() {} });
let url: string;
let directory: string;

before(async () => {
  url = await server.start();
  directory = mkdtempSync(join(tmpdir(), 'expertd-doctor-'));
});
after(async () => {
  await server.stop(1_000);
  rmSync(directory, { recursive: true });
});

async function run(args: readonly string[], change: Partial<Survey> = {}) {
  const out: string[] = [];
  const chosen: ConfigChoice[] = [];
  const io: Io = {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: () => {} },
    stdin: (async function* () {})(),
    env: { EXPERTD_STATE_DIR: directory },
    isTTY: false,
  };
  const stateDisk = { ...healthySurvey().stateDisk, path: directory };
  const command = doctorCommand({
    config: async () => '',
    expert: async () => '',
    device: async (choice) => {
      chosen.push(choice);
      return healthySurvey({ stateDisk, ...change });
    },
  });
  const code = await command.run(args, io);
  return { code, out: out.join(''), chosen };
}

test('a healthy device without an agent: nothing is wrong, and the agent is no data', async () => {
  const { code, out } = await run([]);
  assert.equal(code, 0);
  assert.match(out, /^Raspberry Pi 5 Model B/);
  assert.match(out, /^no data +agent +no agent is running/m);
  assert.match(out, /Nothing is wrong\.\n$/);
});

test('an agent that is found through its file is asked', async () => {
  writeFileSync(join(directory, 'agent.json'), JSON.stringify({ pid: process.pid, url }));
  const { code, out } = await run([]);
  rmSync(join(directory, 'agent.json'));
  assert.equal(code, 0);
  assert.match(out, /^ok +agent +expertd 0\.0\.1, 180\.0 MB of 300\.0 MB committed/m);
  assert.match(out, /^ok +log +44 entries/m);
});

test('a warning ends with 0, a problem with 1; each has its fix on a line of its own', async () => {
  const warned = await run([], { psiOn: false });
  assert.equal(warned.code, 0);
  assert.match(warned.out, /^warning {2}psi .*\n +-> Add psi=1/m);
  assert.match(warned.out, /0 problems, 1 warning\.\n$/);
  const ill = await run([], { glibcVersion: null });
  assert.equal(ill.code, 1);
  assert.match(ill.out, /1 problem, 0 warnings\.\n$/);
});

test('an agent that was named and does not answer is a problem', async () => {
  const { code, out } = await run(['--url', 'http://127.0.0.1:9']);
  assert.equal(code, 1);
  assert.match(out, /^problem +agent +no agent answers/m);
});

test('--json prints every finding', async () => {
  const { code, out } = await run(['--json', '--url', url], { oomKills: 3 });
  const findings = JSON.parse(out) as Finding[];
  assert.equal(code, 0);
  assert.equal(findings.find(({ check }) => check === 'oom')?.status, 'warning');
  assert.deepEqual(Object.keys(findings[0] ?? {}), ['check', 'status', 'said', 'fix']);
  assert.equal(findings.at(-1)?.check, 'log');
});

test('flags say which configuration is meant; what is wrong with them is an error of usage', async () => {
  const { chosen } = await run(['--budget', '300MB', '--config', 'a.json']);
  assert.deepEqual(chosen, [
    {
      configPath: 'a.json',
      overrides: { memory: { budget: '300MB' }, stateDir: directory },
      stateDir: directory,
    },
  ]);
  await assert.rejects(run(['now']), { exitCode: 2, message: /no arguments: "now"/ });
  await assert.rejects(run(['--budget', 'much']), { exitCode: 2 });
  await assert.rejects(run(['--url', 'ftp://x']), { exitCode: 2 });
});

test('what a device says does not steer the terminal', async () => {
  const { out } = await run([], { board: 'evil\u001b[2Jboard' });
  assert.match(out, /^evil\?\[2Jboard/);
});
