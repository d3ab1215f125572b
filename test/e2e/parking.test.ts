/** Language models that leave memory and come back, behind the real agent: generated ones of 60 MB that repeat what they are told. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const IDS = ['crow', 'dove', 'finch'] as const;
const skip = (await openParking()) === null ? 'weights cannot leave memory on this system' : false;

const folder = temporaryFolder();
let agent: RunningAgent;

before(async () => {
  for (const [at, id] of IDS.entries())
    writeTinyLm(join(folder, id), { id, seed: at + 1, payloadBytes: 60_000_000 });
  agent = await RunningAgent.start({
    config: {
      embedder: null,
      languageDetector: null,
      memory: { budget: '330MB' },
      experts: IDS.map((id) => ({ id, sources: [{ uri: `file:${join(folder, id)}` }] })),
    },
  });
  await agent.until(
    () => agent.experts(),
    (experts) => IDS.every((id) => experts.some((one) => one.id === id && one.task !== null)),
  );
});
after(async () => {
  await agent.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function say(id: string, text: string): Promise<Response> {
  const response = await agent.ask(text, id);
  assert.equal(await agent.text(response), `${id}: ${text}`);
  return response;
}

async function stateOf(id: string): Promise<string | undefined> {
  return (await agent.experts()).find((one) => one.id === id)?.state;
}

test('by hand: parked, its memory is the device’s; asked, it says the same, and the reply says where it was', {
  skip,
}, async () => {
  await say('crow', 'first words');
  const before = (await agent.state()).cells[0]?.bytes ?? 0;
  await agent.post('/expertd/v1/experts/crow/park', {});
  await agent.until(
    () => stateOf('crow'),
    (state) => state === 'parked',
  );
  const after = (await agent.state()).cells[0]?.bytes ?? 0;
  assert.ok(before - after > 40_000_000, `${before} bytes before, ${after} after`);
  const response = await say('crow', 'second words');
  assert.equal(response.headers.get('x-expertd-residency'), 'parked');
  assert.equal(await stateOf('crow'), 'resident');
});

test('experts that do not fit together take turns, parked and not loaded again; every answer is right', {
  skip,
}, async () => {
  const round = async () => {
    for (const id of IDS) await say(id, 'my turn');
    return (await agent.state()).counts?.loads;
  };
  // What was never loaded before asks for more room than it takes, and may drive one out.
  await round();
  const loads = await round();
  for (let turn = 0; turn < 4; turn++) assert.equal(await round(), loads, 'nothing is loaded again');
  const { budgetBytes, measuredBytes } = await agent.state();
  assert.ok((measuredBytes ?? 0) <= budgetBytes, `${measuredBytes} of ${budgetBytes}`);
  const states = await Promise.all(IDS.map(stateOf));
  assert.ok(states.includes('parked'), states.join(', '));
});

test('the process of parked experts is killed: they are loaded anew, and say the same', {
  skip,
}, async () => {
  const { cells } = await agent.state();
  for (const { pid } of cells) if (pid !== null) process.kill(pid, 'SIGKILL');
  await agent.until(
    () => stateOf('crow'),
    (state) => state === 'absent',
  );
  await say('crow', 'after all');
});
