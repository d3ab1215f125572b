/**
 * Publishes the JSON Schemas of what people write by hand, from the schemas that validate it: `schema/*.schema.json`.
 * `node scripts/schema.ts` writes them; with `--check` it fails if one is stale.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ManifestSchema } from '../agent/catalog/manifest.ts';
import { ConfigSchema } from '../agent/config.ts';
import { ROOT } from './bundle.mjs';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The published files and their text. */
export function publishedSchemas(): ReadonlyMap<string, string> {
  return new Map([
    ['schema/config.schema.json', formatted(published(ConfigSchema))],
    ['schema/expert.schema.json', formatted(published(ManifestSchema))],
  ]);
}

/**
 * The schema as an editor should see it. What has a default may be left out: it is filled in before validation, so
 * the agent's schema can call it required.
 */
function published(schema: object): string {
  const plain = JSON.parse(JSON.stringify(schema)) as Json;
  const body = withoutDefaulted(plain) as object;
  return JSON.stringify({ $schema: 'http://json-schema.org/draft-07/schema#', ...body }, null, 2);
}

/** As `biome check` wants every JSON file of the repository. */
function formatted(json: string): string {
  const biome = join(ROOT, 'node_modules/.bin/biome');
  return execFileSync(biome, ['format', '--stdin-file-path=schema.json'], {
    input: json,
    cwd: ROOT,
    encoding: 'utf8',
  });
}

function withoutDefaulted(node: Json): Json {
  if (Array.isArray(node)) return node.map(withoutDefaulted);
  if (node === null || typeof node !== 'object') return node;
  const object = node as { readonly [key: string]: Json };
  const entries = Object.entries(object).map(([key, value]) => {
    if (key !== 'required' || !Array.isArray(value)) return [key, withoutDefaulted(value)] as const;
    const properties = object['properties'] as { readonly [key: string]: Json };
    return [key, value.filter((name) => !hasDefault(properties[String(name)]))] as const;
  });
  return Object.fromEntries(
    entries.filter(([key, value]) => key !== 'required' || (value as Json[]).length > 0),
  );
}

function hasDefault(schema: Json | undefined): boolean {
  return typeof schema === 'object' && schema !== null && 'default' in schema;
}

/** Paths of the published files that are not what they should be. */
export function staleSchemas(root: string): string[] {
  return [...publishedSchemas()]
    .filter(([path, text]) => read(join(root, path)) !== text)
    .map(([path]) => path);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function main(check: boolean): void {
  const stale = staleSchemas(ROOT);
  if (check && stale.length > 0) {
    process.stderr.write(`stale: ${stale.join(', ')}; run \`node scripts/schema.ts\`\n`);
    process.exitCode = 1;
    return;
  }
  if (check) return;
  for (const [path, text] of publishedSchemas()) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
  }
}

if (import.meta.main) main(process.argv.includes('--check'));
