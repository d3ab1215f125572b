/**
 * Licences of software, texts and data as entries: names and identifiers from the SPDX list (npm's
 * `spdx-license-list`), what they demand in our own words (`software-licenses.json`). A licence that nobody wrote a
 * sentence about is left out: its name alone answers nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sources } from '../glossary/definition.ts';
import type { GlossaryEntry } from '../glossary/entries.ts';
import { readMakerJson } from '../glossary/places.ts';

interface Described {
  readonly id: string;
  readonly gloss: string;
  readonly terms: readonly string[];
}

interface Listed {
  readonly name: string;
  readonly osiApproved: boolean;
}

/** Not the first thing that a question about law is about, but named often by those who ask for one. */
const PRIOR = 0.5;

export function licenseEntries({ packages }: Sources): GlossaryEntry[] {
  const path = join(packages, 'spdx-license-list/spdx.json');
  const list: Record<string, Listed> = JSON.parse(readFileSync(path, 'utf8'));
  return readMakerJson<Described[]>('legal', 'software-licenses.json').map((described) => {
    const listed = list[described.id];
    if (listed === undefined) throw new Error(`${path} has no ${described.id}`);
    return entryOf(described, listed);
  });
}

function entryOf({ id, gloss, terms }: Described, { name, osiApproved }: Listed): GlossaryEntry {
  // "GNU General Public License v2.0 only" is how SPDX tells versions apart, not how people name them.
  const title = name.replace(/ only$/, '');
  const all = [title, ...terms, id].filter((term, at, list) => list.indexOf(term) === at);
  const approved = osiApproved ? '; approved by the Open Source Initiative' : '';
  const names = all.slice(0, 4).join(', ');
  return {
    terms: all,
    gloss: `${gloss}${approved}`,
    source: `SPDX License List, ${id}`,
    senses: all.map(() => 1),
    prior: PRIOR,
    views: [`${names} (software license): ${gloss}`, `${gloss}. ${names}`],
  };
}
