/** A real cell whose expert leaves memory, then the page cache, and comes back. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PARKING_FOLDER } from '../../agent/cells/protocol.ts';
import { cellCommand } from '../../agent/files.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { folder, skip } from '../runtime/parking/allocations.ts';
import { packageOf, runScripted, StartedCells } from './started.ts';

const PAYLOAD_BYTES = 6 * 1024 ** 2;

test('parked, cold and warm again, an expert says the same, and the agent is told all of it', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const directory = join(folder(t), 'package');
  const manifest = writeTinyLm(directory, { id: 'good', payloadBytes: PAYLOAD_BYTES });
  const command = { ...cellCommand(), env: { [PARKING_FOLDER]: tmpdir() } };
  await using started = new StartedCells(new Map([['good', packageOf(directory, manifest)]]), { command });
  const { cells } = started;
  const say = async () => await runScripted(started, 'hello', { cell: 'heavy-1' });
  const afterwards = async (work: () => Promise<unknown>) => {
    const told = started.nextCached();
    await work();
    return await told;
  };
  await cells.load('heavy-1', 'heavy', 'good');
  const { answer, stages } = await say();
  assert.ok(!('resume' in stages));

  const park = () => cells.unload('heavy-1', 'good', 'weights');
  const chill = () => cells.unload('heavy-1', 'good', 'pages');
  const { bytes, coldBytes } = await afterwards(park);
  assert.ok(coldBytes === 0 && bytes > PAYLOAD_BYTES / 2, `${bytes} bytes will be needed`);
  const chilled = await afterwards(chill);
  assert.ok(chilled.coldBytes > 0.9 * bytes, `${chilled.coldBytes} of ${bytes} bytes are cold`);
  const warmed = await afterwards(() => cells.load('heavy-1', 'heavy', 'good'));
  assert.equal(warmed.coldBytes, 0);
  const warm = await say();
  assert.deepEqual(warm.answer, answer);
  assert.ok((warm.stages['resume'] ?? -1) >= 0);

  await afterwards(park);
  await afterwards(chill);
  const cold = await say();
  assert.deepEqual(cold.answer, answer);
  t.diagnostic(`resume: warm ${warm.stages['resume']} ms, cold ${cold.stages['resume']} ms`);
  await assert.rejects(cells.load('heavy-1', 'heavy', 'good'), { code: 'already_loaded' });
  await assert.rejects(chill(), { code: 'not_parked' });
});
