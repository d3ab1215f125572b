/**
 * Files of parked experts that are replaced, cut, written to or removed: the next answer is right, or an error that
 * names the file; the others in the same process go on.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  cpSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { after, before, test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import { Fleet } from './parking-fleet.ts';

const skip = (await openParking()) === null ? 'weights cannot leave memory on this system' : false;
const BYSTANDER = 'wren';

function overwrite(path: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, new Uint8Array(statSync(path).size).fill(0x11));
  closeSync(file);
}

interface Fault {
  readonly id: string;
  readonly does: string;
  readonly happens: (path: string) => void;
  /** The file that is mapped stays what it was: the answer is right. */
  readonly harmless: boolean;
  /** What a load says afterwards. */
  readonly refusal: RegExp;
}

const FAULTS: readonly Fault[] = [
  {
    id: 'crow',
    does: 'another file takes its name',
    happens: (path) => {
      writeFileSync(`${path}.new`, new Uint8Array(statSync(path).size).fill(0x11));
      renameSync(`${path}.new`, path);
    },
    harmless: true,
    refusal: /the content of onnx\/model\.onnx_data is not what its manifest says/,
  },
  {
    id: 'dove',
    does: 'it is removed',
    happens: (path) => rmSync(path),
    harmless: true,
    refusal: /onnx\/model\.onnx_data is missing/,
  },
  {
    id: 'finch',
    does: 'it is cut in place',
    happens: (path) => truncateSync(path, 4_096),
    harmless: false,
    refusal: /onnx\/model\.onnx_data has 4096 bytes, its manifest says/,
  },
  {
    id: 'gull',
    does: 'it is written over in place',
    happens: overwrite,
    harmless: false,
    refusal: /the content of onnx\/model\.onnx_data is not what its manifest says/,
  },
  {
    id: 'hawk',
    does: 'it is written over in place, and given its old time back',
    happens: (path) => {
      const { atime, mtime } = statSync(path);
      overwrite(path);
      utimesSync(path, atime, mtime);
    },
    harmless: false,
    refusal: /the content of onnx\/model\.onnx_data is not what its manifest says/,
  },
];

let fleet: Fleet;
before(async () => {
  fleet = await Fleet.open({
    ids: [...FAULTS.map(({ id }) => id), BYSTANDER],
    config: { memory: { budget: '800MB' } },
  });
});
after(() => fleet.close());

for (const when of ['parked', 'resident'] as const) {
  for (const { id, does, happens, harmless, refusal } of FAULTS) {
    test(`${when}, ${does}: never a wrong answer, and the file is named`, { skip }, async () => {
      const kept = `${fleet.folder}/${id}.kept`;
      cpSync(fleet.dataFile(id), kept);
      await fleet.say(BYSTANDER);
      if (when === 'parked') await fleet.park(id);
      else await fleet.say(id);
      const pid = await fleet.pidOf(BYSTANDER);
      happens(fleet.dataFile(id));
      const first = await fleet.ask(id);
      if (harmless) assert.equal(first.status, 200, first.text);
      else assert.match(first.text, /model\.onnx_data (has another size|was written to)/);
      assert.match(await fleet.story(first.decision), harmless ? /answered/ : /failed: .*model\.onnx_data/);
      if (harmless) await fleet.command(id, 'unload');
      await fleet.untilState(id, 'absent');
      for (const told of [await fleet.ask(id), await fleet.ask(id)]) assert.match(told.text, refusal);
      const { state, error } = await fleet.expert(id);
      assert.equal(state, 'quarantined');
      assert.match(error?.message ?? '', refusal);
      assert.match(await fleet.reasons(), refusal);
      await fleet.say(BYSTANDER);
      assert.equal(await fleet.pidOf(BYSTANDER), pid, 'no process died of it');
      renameSync(kept, fleet.dataFile(id));
      await fleet.command(id, 'clear');
      await fleet.say(id);
    });
  }
}
