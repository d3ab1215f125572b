/** What the core makes of weights that changed, and of a disk that was full: it says so, and a new session is a new chance. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, renameSync, truncateSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import { Fleet } from './parking-fleet.ts';

const skip = (await openParking()) === null ? 'weights cannot leave memory on this system' : false;
const noLimits =
  skip || (spawnSync('prlimit', ['--version']).status === 0 ? false : 'there is no prlimit here');

let fleet: Fleet;
before(async () => {
  fleet = await Fleet.open({ ids: ['crow', 'dove'], config: { memory: { budget: '500MB' } } });
});
after(() => fleet.close());

test('a file that was cut: the unload says why, and once it was mended and loaded, the expert is parked again', {
  skip,
}, async () => {
  await fleet.park('crow');
  const kept = `${fleet.folder}/kept`;
  cpSync(fleet.dataFile('crow'), kept);
  truncateSync(fleet.dataFile('crow'), 4_096);
  const { decision } = await fleet.ask('crow');
  renameSync(kept, fleet.dataFile('crow'));
  await fleet.untilState('crow', 'absent');
  const story = await fleet.story(decision);
  assert.match(story, /unload crow from heavy-\d+ .*: .*(weights|model\.onnx_data)/);
  assert.doesNotMatch(story, /unload crow .*asked for by hand/);
  await fleet.park('crow');
  await fleet.say('crow');
});

test('a disk that was full: the next session of the expert is parked, without anybody clearing it', {
  skip: noLimits,
}, async () => {
  await fleet.say('dove');
  const pid = String(await fleet.pidOf('dove'));
  execFileSync('prlimit', ['--pid', pid, '--fsize=3000000:unlimited']);
  await fleet.command('dove', 'park');
  await fleet.untilState('dove', 'resident');
  assert.match(await fleet.reasons(), /dove cannot be parked: .*EFBIG/);
  execFileSync('prlimit', ['--pid', pid, '--fsize=unlimited:unlimited']);
  await fleet.command('dove', 'unload');
  await fleet.untilState('dove', 'absent');
  await fleet.park('dove');
  await fleet.say('dove');
});
