/** What an inode tells of a file: which changes show, and which are none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areUntouched, type FileTrace, isUntouched } from '../agent/untouched.ts';

const before: FileTrace = { dev: 1n, ino: 2n, nlink: 1n, size: 3n, mtimeNs: 4n, ctimeNs: 5n };

const cases: readonly (readonly [string, Partial<FileTrace>, boolean])[] = [
  ['nothing', {}, true],
  ['a write', { mtimeNs: 9n, ctimeNs: 9n }, false],
  ['a write that was given its old time back', { ctimeNs: 9n }, false],
  ['a second name', { nlink: 2n, ctimeNs: 9n }, true],
  ['the last name gone', { nlink: 0n, ctimeNs: 9n }, true],
  ['a write under a second name', { nlink: 2n, mtimeNs: 9n, ctimeNs: 9n }, false],
  ['a cut', { size: 2n, mtimeNs: 9n, ctimeNs: 9n }, false],
  ['another file in its place', { ino: 9n }, false],
  ['a file of another disk', { dev: 9n }, false],
];
for (const [what, change, isSame] of cases) {
  test(`${what}: ${isSame ? 'the same file' : 'another one'}`, () => {
    assert.equal(isUntouched(before, { ...before, ...change }), isSame);
  });
}

test('of several files, each must be there', () => {
  assert.ok(areUntouched([before, before], [before, before]));
  assert.ok(areUntouched([], []));
  for (const [was, is] of [
    [[before], [null]],
    [[before], []],
    [[null], [null]],
    [
      [before, before],
      [before, { ...before, size: 9n }],
    ],
  ] as const) {
    assert.ok(!areUntouched(was, is));
  }
});
