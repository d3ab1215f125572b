import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import Ajv from 'ajv';
import { ConfigSchema } from '../../agent/config.ts';
import { ROOT } from '../../scripts/bundle.mjs';
import { publishedSchemas, staleSchemas } from '../../scripts/schema.ts';

type Schema = {
  readonly properties?: Record<string, Schema>;
  readonly default?: unknown;
};

const example = JSON.parse(readFileSync(join(ROOT, 'edge.config.json'), 'utf8'));
const published = JSON.parse(publishedSchemas().get('schema/config.schema.json') ?? '');

describe('published schemas', () => {
  test('are those of the sources', () => {
    assert.deepEqual(staleSchemas(ROOT), []);
  });

  test('a stale or missing one is noticed', (t) => {
    const root = mkdtempSync(join(tmpdir(), 'expertd-schema-'));
    t.after(() => rmSync(root, { recursive: true }));
    for (const [path, text] of publishedSchemas()) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), path.includes('expert') ? text.replace('"type"', '"kind"') : text);
    }
    assert.deepEqual(staleSchemas(root), ['schema/expert.schema.json']);
    rmSync(join(root, 'schema/config.schema.json'));
    assert.deepEqual(staleSchemas(root), ['schema/config.schema.json', 'schema/expert.schema.json']);
  });

  test('the published schema takes the example, an empty file, and refuses a misspelt key', () => {
    const validate = new Ajv.Ajv({ allErrors: true }).compile(published);
    assert.equal(validate(example), true, JSON.stringify(validate.errors));
    assert.equal(validate({}), true, JSON.stringify(validate.errors));
    assert.equal(validate({ http: { prot: 1 } }), false);
    assert.equal(validate({ experts: [{ pinned: true }] }), false, 'an expert needs an id');
  });
});

describe('edge.config.json', () => {
  test('has every key that has a default, with that default', () => {
    assert.deepEqual(compare(ConfigSchema as Schema, example, ''), []);
  });

  test('points at the published schema', () => {
    assert.equal(example.$schema, './schema/config.schema.json');
  });
});

/** Differences between the example and the defaults, by path. Keys without a default may be left out. */
function compare(schema: Schema, value: Record<string, unknown>, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const here = `${path}/${key}`;
    if (inner.properties) return compare(inner, (value[key] ?? {}) as Record<string, unknown>, here);
    if (!('default' in inner)) return [];
    const same = JSON.stringify(value[key]) === JSON.stringify(inner.default);
    return same
      ? []
      : [`${here} is ${JSON.stringify(value[key])}, the default ${JSON.stringify(inner.default)}`];
  });
}
