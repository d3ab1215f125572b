import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { parseBytes } from '../agent/bytes.ts';
import { loadConfig } from '../agent/configuration.ts';
import { AgentError } from '../agent/errors.ts';
import { settingsOf } from '../agent/settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'expertd-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function fileWith(value: unknown): string {
  const path = join(folder, 'edge.config.json');
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
}

function refusal(value: unknown): AgentError {
  try {
    loadConfig({ path: fileWith(value), overrides: {} });
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    return error;
  }
  return assert.fail('it was accepted');
}

test('an empty configuration has every default', () => {
  const config = loadConfig({ path: null, overrides: {} });
  assert.equal(config.http.port, 8484);
  assert.equal(config.http.host, '127.0.0.1');
  assert.deepEqual(config.policies.router, ['rules', 'nearest']);
  assert.equal(config.limits.loadWaitMs, 30_000);
  assert.deepEqual(config.experts, []);
});

test('the example in the repository is valid', () => {
  const config = loadConfig({ path: join(import.meta.dirname, '..', 'edge.config.json'), overrides: {} });
  assert.equal(config.http.port, 8484);
});

test('a misspelt key is refused and the nearest one is named, at every depth', () => {
  assert.match(refusal({ htp: {} }).message, /"htp" is not a field/);
  assert.match(refusal({ htp: {} }).hint ?? '', /"http"/);
  assert.match(refusal({ memory: { bugdet: '300MB' } }).message, /"memory\.bugdet"/);
  assert.match(refusal({ memory: { bugdet: '300MB' } }).hint ?? '', /"budget"/);
  assert.match(refusal({ experts: [{ id: 'a', pined: true }] }).message, /"experts\[0\]\.pined"/);
  assert.match(refusal({ experts: [{ id: 'a', pined: true }] }).hint ?? '', /"pinned"/);
});

test('a canary is measured in answers or in time, and the refusal names it', () => {
  const canary = (measure: object) => ({
    experts: [{ id: 'a' }, { id: 'b', canary: { share: 0.2, ...measure } }],
  });
  for (const measure of [{}, { decisions: 10, minutes: 5 }])
    assert.match(
      refusal(canary(measure)).message,
      /"experts\[1\]\.canary" must have either "decisions" or "min/,
    );
  const { experts } = loadConfig({ path: null, overrides: canary({ minutes: 0.5 }) });
  assert.deepEqual(experts[1]?.canary, { share: 0.2, minutes: 0.5 });
  assert.match(
    refusal(canary({ decisions: 0 })).message,
    /"experts\[1\]\.canary\.decisions" must be at least 1/,
  );
  assert.match(
    refusal({ experts: [{ id: 'a', canary: { share: 0, decisions: 1 } }] }).message,
    /canary\.share/,
  );
});

test('a wrong value is refused by the name of its field, with what would be right', () => {
  assert.match(refusal({ http: { port: '8484' } }).message, /"http\.port" must be an integer/);
  assert.match(refusal({ http: { port: 70_000 } }).message, /"http\.port" must be at most 65535/);
  assert.match(
    refusal({ policies: { residency: 'fifo' } }).message,
    /"policies\.residency" must be "lru" or "gdsf"/,
  );
  assert.match(refusal({ experts: [{}] }).message, /"experts\[0\]\.id" is missing/);
});

test('what is not JSON, or no object, is refused with the path', () => {
  assert.match(refusal('{ "http": ').message, /edge\.config\.json is not JSON/);
  assert.match(refusal([]).message, /must hold an object/);
  assert.throws(() => loadConfig({ path: join(folder, 'none.json'), overrides: {} }), /cannot be read/);
});

test('flags win over the file, field by field', () => {
  const path = fileWith({ http: { port: 1, allowedHosts: ['edge.local'] }, memory: { budget: '100MB' } });
  const config = loadConfig({ path, overrides: { http: { port: 0 }, memory: { budget: '200MB' } } });
  assert.equal(config.http.port, 0);
  assert.deepEqual(config.http.allowedHosts, ['edge.local']);
  assert.equal(config.memory.budget, '200MB');
});

test('paths of a file are relative to its folder', () => {
  const config = loadConfig({ path: fileWith({ stateDir: 'state', expertsDir: '/abs' }), overrides: {} });
  assert.equal(config.stateDir, join(folder, 'state'));
  assert.equal(config.expertsDir, '/abs');
});

test('the token can come from a file beside the configuration', () => {
  writeFileSync(join(folder, 'token'), 'a-token-of-some-length\n');
  const config = loadConfig({ path: fileWith({ http: { tokenFile: 'token' } }), overrides: {} });
  assert.equal(config.http.token, 'a-token-of-some-length');
});

test('a token file that holds no token is refused: an empty one would let in whoever sends nothing', () => {
  for (const content of ['', '\n', 'short', 'two words that are long enough']) {
    writeFileSync(join(folder, 'token'), content);
    const error = refusal({ http: { tokenFile: 'token' } });
    assert.match(error.message, /tokenFile .*token holds no token/);
    assert.match(error.hint ?? '', /16 characters/);
  }
  assert.match(refusal({ http: { tokenFile: 'nowhere' } }).message, /nowhere cannot be read/);
});

test('an expert that is named twice is refused', () => {
  const error = refusal({ experts: [{ id: 'a' }, { id: 'b' }, { id: 'a', pinned: true }] });
  assert.match(error.message, /"experts\[2\]\.id" names "a" again/);
});

test('sizes that are none are refused with the file and the field, wherever they stand', () => {
  for (const [value, pattern] of [
    [{ memory: { budget: '0MB' } }, /edge\.config\.json: memory\.budget is "0MB"/],
    [{ memory: { availableLow: '0' } }, /memory\.availableLow is "0"/],
    [{ log: { maxBytes: 'much' } }, /log\.maxBytes is "much"/],
    [{ log: { maxBytes: '1kB' } }, /"log\.maxBytes" must be at least 1048576 bytes/],
  ] as const)
    assert.match(refusal(value).message, pattern);
});

test('folders of sources are relative to the file that names them', () => {
  const uris = ['file:experts/a', 'file:../a', 'file:/abs/a', 'file:///abs/a', 'https://example.org/a'];
  const experts = uris.map((uri, index) => ({ id: `e${index}`, sources: [{ uri }] }));
  const config = loadConfig({ path: fileWith({ experts }), overrides: {} });
  assert.deepEqual(
    config.experts.map(({ sources }) => sources[0]?.uri),
    [
      `file:${join(folder, 'experts/a')}`,
      `file:${join(folder, '../a')}`,
      'file:/abs/a',
      'file:///abs/a',
      'https://example.org/a',
    ],
  );
});

test('no JSON value makes the loader throw anything but a clear refusal', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (text) => {
      try {
        loadConfig({ path: fileWith(text), overrides: {} });
      } catch (error) {
        assert.ok(error instanceof AgentError);
        assert.equal(error.code, 'bad_config');
        assert.ok(error.hint !== null && error.message.length > 10);
      }
    }),
    { numRuns: 200 },
  );
});

test('sizes are read as people write them', () => {
  assert.equal(parseBytes('300MB', 'x'), 300e6);
  assert.equal(parseBytes('1.5GiB', 'x'), 1.5 * 1024 ** 3);
  assert.equal(parseBytes('64k', 'x'), 64_000);
  assert.equal(parseBytes('12', 'x'), 12);
  assert.equal(parseBytes(7, 'x'), 7);
  for (const bad of ['', 'MB', '-1MB', '1PB', '0', '1 0MB', '9'.repeat(30)]) {
    assert.throws(() => parseBytes(bad, 'memory.budget'), /memory\.budget/, bad);
  }
});

test('without a budget it is 60 % of the smaller of available memory and the group limit', () => {
  const config = loadConfig({ path: null, overrides: {} });
  const budget = (availableBytes: number | null, limitBytes: number | null): number =>
    settingsOf(config, { availableBytes, totalBytes: 8e9, limitBytes }).budgetBytes;
  assert.equal(budget(4e9, null), 2.4e9);
  assert.equal(budget(4e9, 1e9), 0.6e9);
  assert.ok(budget(null, null) > 100e6);
});

test('a budget below what expertd takes itself is refused with the numbers', () => {
  const device = { availableBytes: 4e9, totalBytes: 8e9, limitBytes: null };
  const of = (overrides: Record<string, unknown>, limitBytes: number | null = null) =>
    settingsOf(loadConfig({ path: null, overrides }), { ...device, limitBytes }).budgetBytes;
  assert.throws(() => of({ memory: { budget: '1MB' } }), /memory\.budget is 1\.0 MB: less than the 83\.9 MB/);
  assert.throws(() => of({}, 100e6), /not set, and 60 % of what .* left is 60\.0 MB: less than/);
  assert.equal(of({ memory: { budget: '80MiB' } }), 80 * 1024 ** 2);
});
