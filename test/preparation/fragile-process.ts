/** Prepares as the real process does, and dies by SIGKILL at the moment that its arguments name: PHASE WHEN. */
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DATA, type Job, MODEL, type Outcome } from '../../agent/preparation/job.ts';

const [phase, when] = process.argv.slice(2);
const job = JSON.parse(readFileSync(0, 'utf8')) as Job;
const isMine = job.phase === phase;
const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
};

if (isMine && when === 'at once') die();
if (isMine && when === 'while it writes') {
  writeFileSync(join(job.target, DATA), 'half');
  writeFileSync(join(job.target, MODEL), 'half');
  die();
}
const none: Outcome = { kind: 'made', steps: [], files: [], exact: true, canary: null };
const proved: Outcome = { ...none, steps: [{ name: 'canary', done: true, why: null }] };
/** Read where it is needed: it takes longer than all else that is done here. */
const edit = async (): Promise<Outcome> =>
  (await import('../../agent/preparation/graph.ts')).prepareGraph(job);
const outcome = job.phase === 'graph' ? await edit() : job.phase === 'canary' ? proved : none;
if (isMine && when === 'before it says so') die();
const text = JSON.stringify(outcome);
if (isMine && when === 'while it says so') {
  writeSync(3, text.slice(0, text.length / 2));
  die();
}
writeSync(3, text);
if (isMine && when === 'after it said so') die();
if (isMine && when === 'never') setInterval(() => undefined, 1_000);
if (isMine && when === 'crash') process.abort();
