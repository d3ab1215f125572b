/**
 * Source code whose language is known, for measuring: sample files of three projects that name languages by folder.
 * The model was trained on files of GitHub's repositories; none of these collections is one of them as a whole.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import sources from './sources.json' with { type: 'json' };

export interface SourceFile {
  readonly label: string;
  readonly name: string;
  readonly text: string;
}

export interface Collections {
  /** `samples` of github-linguist: a folder for each language. */
  readonly linguist: string;
  /** `tests/examplefiles` of Pygments: a folder for each language. */
  readonly pygments: string;
  /** `lib/rouge/demos` of Rouge: a file for each language. */
  readonly rouge: string;
}

const MAX_FILES = 40;
const SHORTEST = 20;
/** What Pygments makes of each file, beside it. */
const PARSED = '.output';

/** At most 40 files of each language, UTF-8 and of 20 characters at least, in a fixed order. */
export async function readSources(collections: Collections): Promise<readonly SourceFile[]> {
  const found: SourceFile[] = [];
  for (const [label, { linguist, pygments, rouge }] of Object.entries(sources)) {
    const paths = await Promise.all([
      ...linguist.map((name) => filesIn(join(collections.linguist, name))),
      ...pygments.map((name) => filesIn(join(collections.pygments, name))),
      rouge.map((name) => join(collections.rouge, name)),
    ]);
    const wanted = paths.flat().sort(byHash).slice(0, MAX_FILES);
    for (const path of wanted) {
      const text = new TextDecoder().decode(await readFile(path));
      if (text.length < SHORTEST || text.includes('\ufffd')) continue;
      found.push({ label, name: basename(path), text });
    }
  }
  return found;
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith(PARSED))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** An order that has nothing to do with names and is the same everywhere. */
function byHash(left: string, right: string): number {
  return hash(basename(left)) - hash(basename(right)) || (left < right ? -1 : 1);
}

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}

/** Up to three pieces of whole lines, of `chars` characters at most; a file that is shorter is one piece. */
export function cut({ name, text }: SourceFile, chars: number): readonly string[] {
  if (text.length <= chars) return [text];
  const starts = [...text.matchAll(/^/gm)].map(({ index }) => index);
  const pieces = [0, 1, 2].map((turn) => {
    const start = starts[hash(`${name} ${turn}`) % starts.length] ?? 0;
    const piece = text.slice(start, start + chars);
    const end = piece.lastIndexOf('\n');
    return piece.slice(0, end > chars / 2 ? end : chars);
  });
  return pieces.filter((piece) => piece.trim().length >= SHORTEST);
}
