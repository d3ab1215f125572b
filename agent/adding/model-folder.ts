/**
 * A folder in the layout of a model repository, read with suspicion: what a name or a link leads out of it is refused,
 * and nothing is read that is not a regular file of a sensible size.
 */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { refusal } from './refusal.ts';

export type Json = Readonly<Record<string, unknown>>;

/** Settings and vocabularies; the largest tokenizers of the hub have about 35 MB. */
const MAX_TEXT_BYTES = 128 * 1024 ** 2;
const MAX_FILES = 10_000;
const WITHOUT_LINKS =
  'Fetch it with "hf download OWNER/NAME --local-dir FOLDER", or copy it with "cp -rL", so that the folder holds the files.';

export class ModelFolder {
  /** Absolute, all links followed. */
  readonly root: string;

  /** Throws an AgentError where there is no such folder. */
  constructor(path: string) {
    try {
      this.root = realpathSync(path);
    } catch (cause) {
      throw refusal(`there is no folder ${path}`, 'Name the folder of a model.', cause);
    }
    if (!statSync(this.root).isDirectory())
      throw refusal(`${path} is a file`, 'Name the folder that it lies in.');
  }

  /** Paths of all files that are not hidden, relative to the folder, sorted. */
  files(): readonly string[] {
    const found: string[] = [];
    const look = (folder: string): void => {
      for (const entry of readdirSync(join(this.root, folder), { withFileTypes: true })) {
        if (entry.name.startsWith('.')) continue;
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
        if (found.length > MAX_FILES)
          throw refusal(`${this.root} holds more than ${MAX_FILES} files`, 'Name the folder of one model.');
        if (entry.isDirectory()) look(path);
        else found.push(path);
      }
    };
    look('');
    return found.sort();
  }

  /** Absolute path and size of a file; null where there is none. Throws for a link out, and for what is no file. */
  find(path: string): { readonly file: string; readonly bytes: number } | null {
    const named = join(this.root, path);
    if (!this.#holds(named)) throw refusal(`"${path}" leads out of the folder`, WITHOUT_LINKS);
    let file: string;
    try {
      file = realpathSync(named);
    } catch {
      return null;
    }
    if (!this.#holds(file)) throw refusal(`${path} is a link that leads out of the folder`, WITHOUT_LINKS);
    const stats = statSync(file);
    if (!stats.isFile()) throw refusal(`${path} is not a regular file`, WITHOUT_LINKS);
    return { file, bytes: stats.size };
  }

  has(path: string): boolean {
    return this.find(path) !== null;
  }

  /** The text of a file; null where there is none. Throws where it is too large. */
  text(path: string): string | null {
    const found = this.find(path);
    if (found === null) return null;
    if (found.bytes > MAX_TEXT_BYTES)
      throw refusal(`${path} has ${found.bytes} bytes: no such file is that large`, 'Fetch it again.');
    return readFileSync(found.file, 'utf8');
  }

  /** The object in a JSON file; null where there is no file. Throws where it holds anything else. */
  json(path: string): Json | null {
    const text = this.text(path);
    if (text === null) return null;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      const hint = 'Fetch it again; a pointer of Git LFS or a page of HTML in its place looks like this too.';
      throw refusal(`${path} is not JSON: ${(cause as Error).message}`, hint, cause);
    }
    if (isObject(value)) return value;
    throw refusal(`${path} holds no JSON object`, 'Fetch it again.');
  }

  #holds(path: string): boolean {
    return path.startsWith(this.root.endsWith(sep) ? this.root : this.root + sep);
  }
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
