import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ringOf } from '../../../agent/fleet/trust/keyring.ts';
import { loadTrust, saveTrust, TRUST_FILE } from '../../../agent/fleet/trust/place.ts';
import { NO_TRUST, newToken } from '../../../agent/fleet/trust/trust.ts';
import { ENROLLED, keySet, makeKey } from './made.ts';

const root = mkdtempSync(join(tmpdir(), 'expertd-trust-'));
after(() => rmSync(root, { recursive: true, force: true }));

test('what is saved is what is loaded, and nobody else reads it', () => {
  const dir = join(root, 'state');
  assert.deepEqual(loadTrust(dir), NO_TRUST);
  const before = { revoked: [makeKey().id], lowered: { version: 3, gen: 2, minRelease: 1 } };
  const ring = ringOf(keySet({ version: 4, thresholds: { release: 1 } }), before);
  for (const trust of [{ ...NO_TRUST, token: newToken() }, ENROLLED, { ...ENROLLED, ring }, NO_TRUST]) {
    saveTrust(dir, trust);
    assert.deepEqual(loadTrust(dir), trust);
    assert.equal(statSync(join(dir, TRUST_FILE)).mode & 0o777, 0o600);
  }
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(dir), [TRUST_FILE]);
});

test('a draft that a power cut left is in nobody’s way', () => {
  const dir = join(root, 'cut');
  saveTrust(dir, NO_TRUST);
  writeFileSync(join(dir, `${TRUST_FILE}.new`), '{"v":1,');
  saveTrust(dir, ENROLLED);
  assert.deepEqual(loadTrust(dir), ENROLLED);
});

test('a damaged file is an error that names it, not a device without keys', () => {
  const dir = join(root, 'damaged');
  saveTrust(dir, ENROLLED);
  const whole = readFileSync(join(dir, TRUST_FILE), 'utf8');
  const bad = [
    '',
    whole.slice(0, 40),
    whole.replace('"root"', '"toor"'),
    whole.replace('"v":1', '"v":2'),
    '[]',
  ];
  const noToken = { v: 1, device: null, token: 'x', set: null, revoked: [], lowered: null };
  for (const text of [...bad, JSON.stringify(noToken)]) {
    writeFileSync(join(dir, TRUST_FILE), text);
    assert.throws(
      () => loadTrust(dir),
      { code: 'bad_trust', message: /fleet-trust\.json cannot be used: ./ },
      text,
    );
  }
});
