/** 300 swaps of `npm run soak`, with small generated experts: kills, clients that leave, pressure, and no wrong answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import { soakSwaps } from '../../scripts/soak/swap.ts';

const SWAPS = 300;
const LONGEST_MS = 240_000;
const parks = (await openParking()) !== null;

test('300 swaps among six experts that do not fit: nothing wrong is answered, nothing fails, the agent lives', async (t) => {
  const options = {
    swaps: SWAPS,
    seed: 1,
    limitBytes: null,
    out: null,
    timeMs: LONGEST_MS,
    clients: 3,
    small: true,
  };
  const { criteria, answers, kills, figures } = await soakSwaps(options, t.signal, (line) =>
    t.diagnostic(line),
  );
  t.diagnostic(`limit: ${figures['limit']}; answers: ${JSON.stringify(answers)}; kills: ${kills}`);
  const value = (name: string) => criteria.find((one) => one.name === name)?.value;
  assert.equal(value('wrong answers'), 0, JSON.stringify(figures['wrong']));
  assert.equal(value('failures not on purpose'), 0, JSON.stringify(figures['failed']));
  assert.equal(value('ends of the agent, OOM kills among them'), 0, JSON.stringify(figures['oomKills']));
  assert.equal(value('swaps that were not made'), 0);
  assert.ok(kills > 0, 'no cell was killed');
  if (parks) assert.ok(answers.parked > 0, 'nobody came back from being parked');
  else t.diagnostic('weights cannot leave memory on this system: all swaps were loads');
});
