import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import {
  cellCommand,
  loadNative,
  nativeFile,
  nativePackages,
  runKind,
  shippedExpertsDir,
  version,
} from '../agent/files.ts';

describe('own files, run from the sources', () => {
  test('says how it runs', () => {
    assert.equal(runKind(), 'source');
    assert.match(version, /^\d+\.\d+\.\d+$/);
  });

  test('a cell is the same program on the same Node, without the flags of the test runner', () => {
    const { file, args } = cellCommand();
    assert.equal(file, process.execPath);
    assert.deepEqual(args.slice(-1), ['cell']);
    assert.ok(existsSync(args.at(-2) ?? ''), `${args.at(-2)} exists`);
    assert.ok(!args.some((arg) => arg.startsWith('--test')));
  });

  test("Node takes the cell's flags", () => {
    const { file, args } = cellCommand();
    assert.equal(execFileSync(file, [...args.slice(0, -2), '-p', '1 + 1'], { encoding: 'utf8' }), '2\n');
  });

  test('every native module is there, with the libraries that it links to beside it', () => {
    for (const name of Object.keys(nativePackages('linux', 'x64')) as (keyof ReturnType<
      typeof nativePackages
    >)[]) {
      assert.ok(statSync(nativeFile(name)).isFile(), name);
    }
    assert.ok(existsSync(join(dirname(nativeFile('onnxruntime_binding')), 'libonnxruntime.so.1')));
  });

  test('a native module loads', () => {
    assert.equal(typeof (loadNative('koffi') as { load: unknown }).load, 'function');
  });

  test('the experts lie in the checkout', () => {
    assert.equal(shippedExpertsDir(), join(import.meta.dirname, '..', 'experts'));
  });
});
