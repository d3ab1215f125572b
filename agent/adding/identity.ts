/** Who an expert is: its id, its version, its terms, and what it is for. */
import { basename, dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Manifest } from '../catalog/manifest.ts';
import type { Card } from './card.ts';
import type { Json, ModelFolder } from './model-folder.ts';
import { refusal } from './refusal.ts';
import { architectureOf, type HubTask } from './task.ts';

/** What whoever adds a model wants of it; null where nothing was said. */
export interface Wishes {
  readonly id: string | null;
  readonly version: string | null;
  readonly model: string | null;
  readonly summary: string | null;
  readonly license: string | null;
  readonly languages: readonly string[];
  readonly examples: readonly string[];
  readonly context: number | null;
}

type Identity = Pick<Manifest, 'id' | 'version' | 'summary' | 'license' | 'source' | 'routing'>;

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** Names of folders that name no model. */
const MEANINGLESS = /^(?:[0-9a-f]{40}|onnx|model|models|main|master|snapshots|export|output|tmp|\.+)$/i;
/** How the hub's cache names the folder of a repository; its snapshots lie two levels below. */
const CACHED = /^models--(.+)--(.+)$/;
/** SPDX's word for terms that nobody has stated. */
const UNSTATED = 'NOASSERTION';
const LICENSE_FILES = ['LICENSE', 'LICENSE.txt', 'LICENSE.md'];
const LICENSE_TEXTS: readonly (readonly [pattern: RegExp, license: string])[] = [
  [/^\s*Apache License\s+Version 2\.0, January 2004/, 'Apache-2.0'],
  [/^\s*(?:The )?MIT License/i, 'MIT'],
];
const DOES: Readonly<Record<HubTask, string>> = {
  'text-generation': 'Language model',
  'text-classification': 'Classifier of texts',
  'feature-extraction': 'Embeddings of texts',
};

/** Throws an AgentError where no name gives an id, or where a wish is not valid. */
export function identify(from: {
  readonly folder: ModelFolder;
  readonly card: Card;
  readonly config: Json;
  readonly task: HubTask;
  readonly precision: string;
  readonly wishes: Wishes;
}): { readonly manifest: Identity; readonly notes: readonly string[] } {
  const { folder, card, config, task, precision, wishes } = from;
  const license = wishes.license ?? card.license ?? licenseIn(folder);
  const name = nameOf(folder, config);
  const kind = architectureOf(config);
  const details = [...(kind === null ? [] : [kind]), ...(precision === 'unknown' ? [] : [precision])].join(
    ', ',
  );
  return {
    manifest: {
      id: wishes.id === null ? idFrom(name) : checkId(wishes.id),
      version: wishes.version ?? '1.0.0',
      summary: (wishes.summary ?? `${DOES[task]}: ${name ?? folder.root} (${details}).`).slice(0, 300),
      license: license ?? UNSTATED,
      source: cachedName(folder.root)?.source ?? pathToFileURL(folder.root).href,
      routing: { languages: languagesOf(card, wishes), examples: [...wishes.examples], rules: [] },
    },
    notes: license === null ? ['nothing states its licence; --license says it'] : [],
  };
}

function nameOf({ root }: ModelFolder, { _name_or_path: path }: Json): string | null {
  const cached = cachedName(root);
  if (cached !== null) return cached.name;
  const folder = basename(root);
  if (!MEANINGLESS.test(folder)) return folder;
  const named = typeof path === 'string' ? basename(path) : '';
  return named === '' || MEANINGLESS.test(named) ? null : named;
}

function cachedName(root: string): { readonly name: string; readonly source: string } | null {
  const [, owner, name] = CACHED.exec(basename(dirname(dirname(root)))) ?? [];
  if (owner === undefined || name === undefined) return null;
  return { name, source: `hf:${owner}/${name}@${basename(root)}` };
}

/** `SmolLM2-135M-Instruct` -> `smollm2-135m-instruct`. */
export function idFrom(name: string | null): string {
  const id = (name ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .replace(/^[-_]+/, '')
    .slice(0, 64)
    .replace(/[-_]+$/, '');
  if (ID.test(id) && id !== 'auto') return id;
  throw refusal(
    'neither the folder nor config.json has a name that would do as an id',
    'Give it one: --id ID',
  );
}

function checkId(id: string): string {
  if (id === 'auto') throw refusal('"auto" is the name that lets the router choose', 'Give it another id.');
  if (ID.test(id)) return id;
  throw refusal(
    `"${id}" is no id`,
    'An id has letters, digits, "-" and "_", begins with a letter or a digit, and has at most 64 of them.',
  );
}

function licenseIn(folder: ModelFolder): string | null {
  for (const path of LICENSE_FILES) {
    const text = folder.text(path);
    const known = text === null ? undefined : LICENSE_TEXTS.find(([pattern]) => pattern.test(text));
    if (known !== undefined) return known[1];
  }
  return null;
}

/** BCP 47. A wish must be valid; what the card says beside languages ("code") is left out. */
function languagesOf(card: Card, { languages }: Wishes): string[] {
  for (const tag of languages) {
    if (tag !== '*' && canonical(tag) === null)
      throw refusal(`"${tag}" is no language`, 'Write a tag of BCP 47, as "en" or "pt-BR", or "*" for any.');
  }
  if (languages.length > 0) return languages.map((tag) => canonical(tag) ?? tag);
  const stated = card.languages.includes('multilingual') ? [] : card.languages;
  const valid = stated.flatMap((tag) => canonical(tag) ?? []);
  return valid.length === 0 ? ['*'] : [...new Set(valid)];
}

function canonical(tag: string): string | null {
  try {
    const [name = null] = Intl.getCanonicalLocales(tag);
    return name !== null && /^[a-z]{2,3}(?:-|$)/.test(name) ? name : null;
  } catch {
    return null;
  }
}
