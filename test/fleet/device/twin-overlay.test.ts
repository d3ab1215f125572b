import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../agent/configuration.ts';
import { overlaid, overlayOf } from '../../../agent/fleet/device/overlay.ts';
import type { DesiredExpert } from '../../../agent/fleet/documents/desired.ts';
import { settingsOf } from '../../../agent/settings.ts';
import { desired } from '../trust/made.ts';
import { sha256, wanted } from './twin-set-up.ts';

const CONFIG = loadConfig({
  path: null,
  overrides: {
    memory: { budget: '300MB', parking: false },
    policies: { minScore: 0.3, tieMargin: 0.2 },
    experts: [
      { id: 'alpha', contextTokens: 4_096, pinned: true, fallback: 'beta', sources: [{ uri: 'file:/old' }] },
      { id: 'beta' },
    ],
  },
});
const BLIND = { availableBytes: null, totalBytes: null, limitBytes: null };

test('no document and no policy is no word of the fleet', () => {
  assert.equal(overlayOf(null, null), null);
  assert.deepEqual(overlayOf(null, { minScore: 0.1 }), {
    experts: [],
    remove: [],
    policy: { minScore: 0.1 },
    budget: null,
  });
});

test('how a new version proves itself is what the document says, and what the device has where it says nothing', () => {
  const own = { share: 0.5, minutes: 30 };
  const config = loadConfig({ path: null, overrides: { experts: [{ id: 'alpha', canary: own }] } });
  const canaryWith = (more: Partial<DesiredExpert>) => {
    const overlay = overlayOf(desired({ experts: [wanted('alpha', more)] }), null);
    assert.ok(overlay !== null);
    return overlaid(config, overlay).experts[0]?.canary;
  };
  assert.deepEqual(canaryWith({ canary: { share: 0.1, decisions: 200 } }), { share: 0.1, decisions: 200 });
  assert.deepEqual(canaryWith({}), own);
});

test('a document counts over what is configured, and what it does not say stays', () => {
  const document = desired({
    experts: [
      wanted('alpha', { sources: ['https://a.example/x', 'file:/y'] }),
      wanted('gamma', { pinned: true }),
    ],
    policy: { minScore: 0.6 },
    budget: '500MB',
    experts_remove: ['beta'],
  });
  const overlay = overlayOf(document, { residency: 'lru' });
  assert.ok(overlay !== null);
  const before = structuredClone(CONFIG);
  const config = overlaid(CONFIG, overlay);
  assert.deepEqual(CONFIG, before);
  const digest = sha256('alpha');
  assert.deepEqual(config.experts, [
    {
      id: 'alpha',
      version: '1.0.0',
      contextTokens: 4_096,
      fallback: 'beta',
      pinned: false,
      sources: [
        { uri: 'https://a.example/x', sha256: digest },
        { uri: 'file:/y', sha256: digest },
      ],
    },
    {
      id: 'gamma',
      version: '1.0.0',
      pinned: true,
      sources: [{ uri: 'file:/nonexistent/for/a/test', sha256: sha256('gamma') }],
    },
  ]);
  assert.deepEqual(config.policies, { ...CONFIG.policies, minScore: 0.6, residency: 'lru' });
  assert.equal(settingsOf(config, BLIND).budgetBytes, 500e6);
  assert.equal(config.memory.parking, false);
  assert.deepEqual(config.without, ['beta']);
  assert.deepEqual(config.http, CONFIG.http);
});

test('a policy by command counts over that of the document', () => {
  const overlay = overlayOf(desired({ policy: { minScore: 0.6, tieMargin: 0.1 } }), { minScore: 0.7 });
  assert.deepEqual(overlay?.policy, { minScore: 0.7, tieMargin: 0.1 });
});

test('an empty document takes nothing away from the configuration', () => {
  const overlay = overlayOf(desired(), null);
  assert.ok(overlay !== null);
  assert.deepEqual(overlaid(CONFIG, overlay), CONFIG);
});
