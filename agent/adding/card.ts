/** The model card: `README.md` with metadata in YAML at its beginning, as the hub keeps it. */
import { parse } from 'yaml';
import { isObject, type Json, type ModelFolder } from './model-folder.ts';

export interface Card {
  /** As the hub writes it, `apache-2.0`: letters of SPDX identifiers may be of either case. */
  readonly license: string | null;
  /** Tags as they are written; empty where none is given. */
  readonly languages: readonly string[];
  /** The task in the hub's words. */
  readonly pipeline: string | null;
}

const FRONT_MATTER = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/;
/** A few characters of YAML can name each other into gigabytes. */
const MAX_ALIASES = 10;

/** What the card says. A card that is missing or cannot be read says nothing: it is for people. */
export function readCard(folder: ModelFolder): Card {
  const data = frontMatter(folder.text('README.md') ?? '');
  const { license, license_name: name, language, pipeline_tag: pipeline } = data;
  const stated = license === 'other' && typeof name === 'string' ? name : license;
  return {
    license: typeof stated === 'string' && stated.trim() !== '' ? stated.trim() : null,
    languages: [language].flat().filter((tag): tag is string => typeof tag === 'string'),
    pipeline: typeof pipeline === 'string' ? pipeline : null,
  };
}

function frontMatter(text: string): Json {
  const source = FRONT_MATTER.exec(text)?.[1];
  if (source === undefined) return {};
  try {
    const value: unknown = parse(source, { maxAliasCount: MAX_ALIASES, logLevel: 'silent' });
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
