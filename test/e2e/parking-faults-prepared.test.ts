/** What was prepared for an expert on this device, of another runtime, of another processor, or changed: never used. */
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import { Fleet } from './parking-fleet.ts';

const skip = (await openParking()) === null ? 'weights cannot leave memory on this system' : false;

let fleet: Fleet;
before(async () => {
  fleet = await Fleet.open({ ids: ['crow'], payloadBytes: 52_000_000 });
});
after(() => fleet.close());

/** The one folder of the one expert. */
function folder(): string {
  const directory = join(fleet.stateDir, 'prepared');
  return join(directory, readdirSync(directory)[0] ?? assert.fail('nothing was prepared'));
}

function rewrite(path: string, content: Uint8Array | string): void {
  chmodSync(path, 0o600);
  writeFileSync(path, content);
}

test('a record of another runtime or processor: made anew, and it says the same', { skip }, async () => {
  await fleet.park('crow');
  const path = join(folder(), 'prepared.json');
  const right = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, unknown>>;
  for (const other of [{ runtime: '0.0.1' }, { arch: 'mips' }]) {
    await fleet.agent.stop();
    rewrite(path, JSON.stringify({ ...right, ...other }));
    await fleet.start();
    await fleet.park('crow');
    await fleet.say('crow');
    assert.match(fleet.agent.output, /an expert was prepared for this device/);
    const { tookMs: _, ...made } = JSON.parse(readFileSync(path, 'utf8')) as typeof right;
    const { tookMs: __, ...known } = right;
    assert.deepEqual({ ...made, canary: null }, { ...known, canary: null });
  }
});

test('written to while its expert is parked, with its old time: refused by name, then loaded without it, and said', {
  skip,
}, async () => {
  await fleet.park('crow');
  const path = join(folder(), 'model.onnx_data');
  const { atime, mtime, size } = statSync(path);
  rewrite(path, new Uint8Array(size).fill(0x11));
  utimesSync(path, atime, mtime);
  const first = await fleet.ask('crow');
  assert.match(first.text, /model\.onnx_data was written to/);
  assert.match(await fleet.story(first.decision), /crow failed: .*model\.onnx_data was written to/);
  await fleet.say('crow');
  const { prepared } = await fleet.expert('crow');
  assert.equal(prepared?.state, 'plain');
  assert.match(prepared.reasons.join('\n'), /written to or removed since/);
  await fleet.command('crow', 'clear');
  await fleet.park('crow');
  await fleet.say('crow');
});

test('removed while its expert is parked: it goes on with what is mapped, and is loaded without it later', {
  skip,
}, async () => {
  await fleet.agent.stop();
  await fleet.start();
  await fleet.park('crow');
  assert.equal((await fleet.expert('crow')).prepared?.state, 'prepared');
  rmSync(folder(), { recursive: true });
  await fleet.say('crow');
  await fleet.command('crow', 'unload');
  await fleet.untilState('crow', 'absent');
  await fleet.say('crow');
  assert.equal((await fleet.expert('crow')).prepared?.state, 'plain');
});
