/** A budget that is lowered below what is leased: what is being said is said to its end, and then it is kept. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import type { StateView } from '../../agent/service.ts';
import { Fleet } from './parking-fleet.ts';

const skip = (await openParking()) === null ? 'weights cannot leave memory on this system' : false;
/** For the agent, a cell, and what stays of two that are parked. */
const LOW_BYTES = 150_000_000;
/** For one of two besides. */
const MIDDLE_BYTES = 200_000_000;

let fleet: Fleet;
before(async () => {
  fleet = await Fleet.open({
    ids: ['crow', 'dove'],
    payloadBytes: 40_000_000,
    config: { memory: { budget: '500MB', sampleMs: 100 } },
  });
});
after(() => fleet.close());

async function setBudget(bytes: number): Promise<StateView> {
  const { agent } = fleet;
  agent.writeConfig({ ...fleet.config, memory: { budget: bytes, sampleMs: 100 } });
  agent.signal('SIGHUP');
  return await agent.until(
    () => agent.state(),
    ({ budgetBytes }) => budgetBytes === bytes,
  );
}

test('it is lowered while one is leased: that one stays until it has answered, then all of it fits', {
  skip,
}, async () => {
  await fleet.say('dove');
  await fleet.say('crow');
  const { agent } = fleet;
  const pid = await fleet.pidOf('crow');
  process.kill(pid, 'SIGSTOP');
  const asking = fleet.ask('crow');
  await agent.until(
    () => fleet.expert('crow'),
    ({ leases }) => leases === 1,
  );
  const before = (await fleet.reasons()).length;
  const over = await setBudget(LOW_BYTES);
  assert.ok(over.committedBytes > LOW_BYTES, `${over.committedBytes} are committed`);
  // The other one is asked to leave at once.
  await fleet.untilState('dove', 'parking');
  assert.deepEqual((({ state, leases }) => [state, leases])(await fleet.expert('crow')), ['resident', 1]);
  process.kill(pid, 'SIGCONT');
  assert.equal((await asking).status, 200);
  const kept = await agent.until(
    () => agent.state(),
    ({ committedBytes, measuredBytes }) => committedBytes <= LOW_BYTES && (measuredBytes ?? 0) <= LOW_BYTES,
  );
  assert.equal(kept.running, 0);
  const told = (await fleet.reasons()).slice(before);
  assert.match(told, /configured: budget 143\.1 MB[\s\S]*park dove .*must be given back/);
  const [answered, left] = [told.indexOf('crow answered'), told.search(/(park|unload) crow/)];
  assert.ok(answered >= 0 && left > answered, told);
});

test('it is raised so that one of them fits: they take turns, and say the same', { skip }, async () => {
  await setBudget(MIDDLE_BYTES);
  for (const id of ['crow', 'dove', 'crow', 'dove']) await fleet.say(id);
});
