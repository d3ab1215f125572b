import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { currentBundle, ensureBundle, ROOT, sourceKey } from '../../scripts/bundle.mjs';
import { findNode, launchArguments } from '../../scripts/launch.mjs';

const MAIN = `
import { nativeFile, runKind, version } from './files.ts';
async function main([command, ...args]: string[]): Promise<void> {
  if (command === 'kind') console.log(runKind(), version, JSON.stringify(args), process.execArgv.join(' '));
  if (command === 'lazy') (await import('./lazy.ts')).hello();
  if (command === 'sqlite') {
    const { default: Database } = await import('better-sqlite3');
    console.log(new Database(':memory:').prepare('select 40 + 2').pluck().get());
  }
  if (command === 'sqlite-given') {
    const { default: Database } = await import('better-sqlite3');
    const nativeBinding = nativeFile('better_sqlite3');
    console.log(new Database(':memory:', { nativeBinding }).prepare('select 1').pluck().get());
  }
  if (command === 'koffi') {
    const { default: koffi } = await import('koffi');
    console.log(koffi.load('libc.so.6').func('int getpid()')() === process.pid);
  }
  if (command === 'exit') process.exitCode = Number(args[0]);
  if (command === 'wait') {
    process.on('SIGTERM', () => { console.log('asked to stop'); process.exit(3); });
    setInterval(() => {}, 1000);
    console.log('up ' + process.pid);
  }
}
main(process.argv.slice(2));
`;

/** A checkout in small: the real files.ts and scripts, a main of its own. */
function checkout(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'expertd-bundle-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'agent'));
  for (const path of ['agent/files.ts', 'agent/errors.ts', 'agent/v8-flags.json', 'package.json']) {
    cpSync(join(ROOT, path), join(root, path));
  }
  cpSync(join(ROOT, 'scripts'), join(root, 'scripts'), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts') || path.endsWith('scripts'),
  });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'agent/main.ts'), MAIN);
  writeFileSync(
    join(root, 'agent/lazy.ts'),
    "console.log('evaluated');\nexport const hello = () => console.log('hello');",
  );
  return root;
}

const output = (file: string, ...args: string[]) =>
  execFileSync(process.execPath, [file, ...args], { encoding: 'utf8' });

describe('the bundle', () => {
  test('is one file that knows what it is, and evaluates what is behind import() only when asked', async (t) => {
    const root = checkout(t);
    const bundle = await ensureBundle(root);
    assert.match(output(bundle, 'kind', 'a b'), /^bundle \d+\.\d+\.\d+ \["a b"\]/);
    assert.equal(output(bundle, 'lazy'), 'evaluated\nhello\n');
    assert.doesNotMatch(output(bundle, 'kind'), /evaluated/);
  });

  test('finds the native modules', async (t) => {
    const bundle = await ensureBundle(checkout(t));
    assert.equal(output(bundle, 'sqlite'), '42\n');
    assert.equal(output(bundle, 'sqlite-given'), '1\n');
    assert.equal(output(bundle, 'koffi'), 'true\n');
  });

  test('is built once for the same sources, however many ask at once, and anew when one changed', async (t) => {
    const root = checkout(t);
    const [one, two] = await Promise.all([ensureBundle(root), ensureBundle(root)]);
    assert.equal(one, two);
    assert.equal(await ensureBundle(root), one);
    assert.deepEqual(readdirSync(join(root, 'dist')), [sourceKey(root)], 'nothing else is left');
    writeFileSync(join(root, 'agent/lazy.ts'), 'export const hello = () => {};');
    assert.equal(currentBundle(root).exists, false);
    assert.notEqual(await ensureBundle(root), one);
    assert.equal(readdirSync(join(root, 'dist')).length, 2, 'the old one may still be running');
  });

  test('a source that does not compile leaves nothing behind', async (t) => {
    const root = checkout(t);
    writeFileSync(join(root, 'agent/lazy.ts'), 'export const = ;');
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/run.mjs')], {
      encoding: 'utf8',
    });
    assert.equal(status, 1);
    assert.match(stderr, /lazy\.ts:1/);
    assert.deepEqual(readdirSync(join(root, 'dist')), []);
  });
});

describe('run.mjs', () => {
  test('passes arguments, flags and the exit code', (t) => {
    const root = checkout(t);
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [join(root, 'scripts/run.mjs'), ...args], { encoding: 'utf8' });
    const { stdout } = run('kind', '--port', '0');
    assert.match(stdout, /^bundle .* \["--port","0"\] --max-semi-space-size=1 /);
    assert.equal(run('exit', '7').status, 7);
  });

  test('leaves no second process: the agent has the pid that was started, and gets its signals', async (t) => {
    const root = checkout(t);
    const child = spawn(process.execPath, [join(root, 'scripts/run.mjs'), 'wait']);
    t.after(() => child.kill('SIGKILL'));
    const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
    assert.equal(line, `up ${child.pid}\n`);
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [3, null]);
  });

  test("takes npm's Node if it is there, else a new enough one, else says what to do", (t) => {
    const root = checkout(t);
    const packaged = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
    assert.equal(findNode(root), packaged);
    assert.equal(findNode('/nowhere', '/usr/bin/node', '24.0.0'), '/usr/bin/node');
    assert.throws(
      () => findNode('/nowhere', '/usr/bin/node', '20.20.2'),
      /needs Node 24, and this is Node 20\.20\.2.*npm ci/s,
    );
    assert.deepEqual(launchArguments(root, '/b.cjs', ['start']).slice(-2), ['/b.cjs', 'start']);
  });
});
