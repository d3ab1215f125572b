import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAnonymous, parseMappings, readMappings } from '../../agent/linux/mappings.ts';

const MAPS = `00400000-0040b000 r-xp 00000000 fe:00 1234567                            /usr/bin/a program
7f0000000000-7f0000010000 rw-p 00000000 00:00 0 
7f0000010000-7f0000020000 rw-p 00020000 fe:00 99                         /x/model.onnx_data (deleted)
7f0000020000-7f0000021000 rw-p 00000000 00:00 0                          [anon: some name]
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

test('each line is read whole', () => {
  const mappings = parseMappings(MAPS) ?? [];
  assert.equal(mappings.length, 6);
  assert.deepEqual(mappings[2], {
    start: 0x7f0000010000n,
    end: 0x7f0000020000n,
    permissions: 'rw-p',
    offset: 0x20000,
    file: 'fe:00 99',
    path: '/x/model.onnx_data (deleted)',
  });
  assert.equal(mappings[0]?.path, '/usr/bin/a program');
  assert.deepEqual(
    mappings.filter(isAnonymous).map(({ start }) => start),
    [0x7f0000000000n],
  );
});

test('one line of another form makes all of it no data', () => {
  for (const line of ['', 'x', '00-10 rw-p 0 00:00', '00-10 rw 00000000 00:00 0', '0g-10 rw-p 0 00:00 0']) {
    const parsed = parseMappings(`${MAPS}${line}\n`);
    assert.equal(parsed === null, line !== '', line);
  }
});

test('this process has mappings', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  const mappings = readMappings() ?? [];
  assert.ok(mappings.some(isAnonymous));
  assert.ok(mappings.some(({ path }) => path === process.execPath));
});
