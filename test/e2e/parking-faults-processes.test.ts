/** Processes that stand still or die while weights leave or come back: one answer a request, a right one or a refusal. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import { Fleet } from './parking-fleet.ts';

const skip = (await openParking()) === null ? 'weights cannot leave memory on this system' : false;

const RUN_MS = 1_000;
const LOAD_MS = 3_000;
const LONG = 'one two three four five six seven eight nine ten';
/** Takes long enough to be stopped in the middle. No two letters stand beside each other twice. */
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const LONGER = [1, 3, 5, 7, 9, 11, 15, 17]
  .map((step) => Array.from(LETTERS, (_, at) => LETTERS[(at * step) % LETTERS.length]).join(''))
  .join('');

let fleet: Fleet;
before(async () => {
  fleet = await Fleet.open({
    ids: ['crow', 'dove'],
    config: {
      memory: { budget: '500MB' },
      limits: { heavyDeadlineMs: RUN_MS, loadDeadlineMs: LOAD_MS },
    },
  });
});
after(() => fleet.close());

const hasEnded = (pid: number): boolean => !existsSync(`/proc/${pid}`);

async function untilEnded(pid: number): Promise<void> {
  await fleet.agent.until(async () => hasEnded(pid), Boolean);
}

async function untilLeased(id: string): Promise<void> {
  await fleet.agent.until(
    () => fleet.expert(id),
    ({ leases }) => leases === 1,
  );
}

/** The pieces of a stream of chunks, put together. */
function textOf(stream: string): string {
  const pieces = [...stream.matchAll(/^data: (\{.*\})$/gm)].map(([, json = '']) => JSON.parse(json) as Chunk);
  return pieces.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join('');
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
}

/** Each test begins without crashes on anybody's account. */
async function forgive(): Promise<void> {
  for (const id of ['crow', 'dove']) await fleet.command(id, 'clear');
}

/** Stands still until it is killed; then its experts are elsewhere, and say what they said. */
async function untilReplaced(pid: number): Promise<void> {
  await untilEnded(pid);
  assert.throws(() => process.kill(pid, 'SIGCONT'), /ESRCH/, 'nothing is there to be woken');
  assert.match(await fleet.reasons(), /kill heavy-\d+: a run of crow did not end/);
  await fleet.say('crow', LONG);
  await fleet.say('dove', LONG);
  assert.notEqual(await fleet.pidOf('crow'), pid);
}

/** The cell of crow, which is stopped after it was parked. */
async function standStillParked(): Promise<number> {
  await fleet.park('crow');
  const pid = await fleet.pidOf('crow');
  process.kill(pid, 'SIGSTOP');
  return pid;
}

/** The cell of crow, which is stopped in the middle of parking it. */
async function standStillWhileParking(): Promise<number> {
  await fleet.say('crow');
  const pid = await fleet.pidOf('crow');
  process.kill(pid, 'SIGSTOP');
  await fleet.command('crow', 'park');
  await fleet.untilState('crow', 'parking');
  return pid;
}

test('a cell that stands still in a run: what was said is right, the rest is refused at the deadline', {
  skip,
}, async () => {
  await forgive();
  await fleet.say('dove');
  await fleet.say('crow');
  const pid = await fleet.pidOf('crow');
  const response = await fleet.agent.ask(LONGER, 'crow', { stream: true });
  let said = '';
  for await (const chunk of response.body ?? assert.fail('no body')) {
    if (said === '') process.kill(pid, 'SIGSTOP');
    said += Buffer.from(chunk).toString();
  }
  const [text, error] = [textOf(said), said.slice(said.indexOf('"error"'))];
  assert.ok(text !== '' && `crow: ${LONGER}`.startsWith(text), text);
  assert.match(error, /"code":"deadline"/);
  await untilReplaced(pid);
});

test('a cell that stands still in a resume: the client is told at the deadline', { skip }, async () => {
  await forgive();
  await fleet.say('dove');
  await fleet.park('crow');
  const pid = await fleet.pidOf('crow');
  process.kill(pid, 'SIGSTOP');
  const told = await fleet.ask('crow', LONG);
  assert.deepEqual([told.status, told.code], [504, 'deadline']);
  assert.match(told.text, /crow/);
  await untilReplaced(pid);
});

test('a cell that stands still and is woken in time: its answer comes, once', { skip }, async () => {
  await forgive();
  const pid = await standStillParked();
  const asking = fleet.ask('crow');
  await untilLeased('crow');
  process.kill(pid, 'SIGCONT');
  assert.equal((await asking).status, 200);
  assert.equal(await fleet.pidOf('crow'), pid);
});

test('a cell that is woken after its client was told: what it says then reaches nobody', {
  skip,
}, async () => {
  await forgive();
  const pid = await standStillParked();
  assert.equal((await fleet.ask('crow', LONG)).code, 'deadline');
  process.kill(pid, 'SIGCONT');
  await fleet.agent.until(
    () => fleet.expert('crow'),
    ({ leases }) => leases === 0,
  );
  await fleet.say('crow', 'And now something else.');
});

test('a cell that stands still while it parks is killed, and who waits is answered by another', {
  skip,
}, async () => {
  await forgive();
  const pid = await standStillWhileParking();
  await fleet.say('crow');
  assert.ok(hasEnded(pid));
  const reasons = await fleet.reasons();
  assert.match(reasons, /crow: its parking did not end in time/);
  assert.match(reasons, /kill heavy-\d+: crow is parking past its deadline/);
});

test('a cell that is killed while it parks: loaded anew, and nothing of the copy is left', {
  skip,
}, async () => {
  await forgive();
  const pid = await standStillWhileParking();
  process.kill(pid, 'SIGKILL');
  await fleet.untilState('crow', 'absent');
  assert.match(await fleet.reasons(), /heavy-\d+ ended: killed by SIGKILL/);
  await fleet.park('crow');
  assert.deepEqual(readdirSync(join(fleet.stateDir, 'parked')), []);
  await fleet.say('crow');
});

test('a cell that is killed while it resumes: the request is answered, once, by another', {
  skip,
}, async () => {
  await forgive();
  const pid = await standStillParked();
  const asking = fleet.ask('crow', LONG);
  await untilLeased('crow');
  process.kill(pid, 'SIGKILL');
  const { status, text, decision } = await asking;
  assert.equal(status, 200, text);
  assert.match(
    await fleet.story(decision),
    /killed by SIGKILL[\s\S]* is tried once more[\s\S]*crow answered/,
  );
});

for (const what of ['parked', 'parking'] as const) {
  test(`the agent is killed while an expert is ${what}: its cells end, no copy is left, the next start works`, {
    skip,
  }, async () => {
    await fleet.park('crow');
    const pid = await fleet.pidOf('crow');
    if (what === 'parking') {
      assert.equal(await standStillWhileParking(), pid);
    }
    fleet.agent.signal('SIGKILL');
    await fleet.agent.exit();
    await untilEnded(pid);
    assert.deepEqual(readdirSync(join(fleet.stateDir, 'parked')), []);
    fleet.agent.remove();
    await fleet.start();
    assert.match(await fleet.reasons(), /park crow in heavy-\d+/, 'the log of the one before is there');
    await fleet.park('crow');
    await fleet.say('crow');
  });
}
