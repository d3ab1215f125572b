/** Adding, asking, replacing and removing while a real agent runs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { RunningAgent } from '../e2e/running-agent.ts';
import { signatureOf } from '../experts-made/tiny-lm.ts';
import { change, classifier, languageModel, newRoot } from './hub.ts';

const MAIN = join(import.meta.dirname, '../../agent/main.ts');
const run = promisify(execFile);

let base: string;
let agent: RunningAgent;
before(async () => {
  base = newRoot();
  agent = await RunningAgent.start({ config: { expertsDir: base, embedder: null, languageDetector: null } });
});
after(async () => {
  await agent.stop();
  rmSync(base, { recursive: true, force: true });
});

/** The command as a user gives it; its output. */
async function expertd(...args: string[]): Promise<string> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    EXPERTD_STATE_DIR: agent.stateDir,
    EXPERTD_EXPERTS_DIR: base,
  };
  const { stdout } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env,
    cwd: base,
  });
  return stdout;
}

const stars = (content: string) => `how many stars: "${content}"`;

test('a language model of a plain folder answers at once, is in the list, and goes', async () => {
  const folder = join(base, '.hub', 'tiny-talker');
  languageModel(folder, 'tiny-talker');
  const told = await expertd('add', folder);
  assert.match(told, /Added tiny-talker 1\.0\.0: text-generation[\s\S]*The running agent has it\./);
  const answer = await agent.text(await agent.ask('The sea is wide.', 'tiny-talker', { temperature: 0 }));
  assert.equal(answer, `${signatureOf('tiny-talker')}The sea is wide.`);
  assert.match(await expertd('experts'), /tiny-talker +1\.0\.0 +text-generation +resident +\S+ [kM]B +added/);
  assert.match(await expertd('add', folder), /had been added before, just as it is/);
  assert.match(await expertd('remove', 'tiny-talker'), /Removed tiny-talker/);
  assert.equal((await agent.ask('hello', 'tiny-talker')).status, 404);
  assert.ok(!existsSync(join(agent.stateDir, 'added/tiny-talker')));
  const prepared = join(agent.stateDir, 'prepared');
  assert.deepEqual(existsSync(prepared) ? readdirSync(prepared) : [], [], 'nothing is kept of it');
  assert.match(await expertd('remove', 'tiny-talker'), /There was no tiny-talker/);
});

test('a classifier is replaced while it is in memory', async () => {
  const folder = join(base, '.hub', 'film-mood');
  classifier(folder);
  await expertd('add', folder);
  assert.match(await agent.text(await agent.ask(stars('good'), 'film-mood')), /POSITIVE/);
  change(folder, 'config.json', { id2label: { 0: 'THUMBS-DOWN', 1: 'THUMBS-UP' } });
  await expertd('add', '--replace', '--version', '1.1.0', folder);
  assert.match(await agent.text(await agent.ask(stars('good'), 'film-mood')), /THUMBS-UP/);
  assert.equal(readdirSync(join(agent.stateDir, 'added/film-mood')).length, 2);
  await expertd('remove', 'film-mood');
});
