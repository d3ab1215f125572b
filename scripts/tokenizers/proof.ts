/**
 * Compares compiled tokenizers with the Rust implementation, the npm package `tokenizers`, which must be installed
 * where this is run (it is no dependency of expertd):
 *
 *     npm install tokenizers@0.23.2
 *     node scripts/tokenizers/proof.ts COUNT SEED FILES TOKENIZER.json...
 *
 * COUNT texts for each tokenizer, made from SEED and the text files whose paths FILES has, one a line. Each is encoded
 * with special tokens and without, its ids and some random ones are decoded with special tokens and without. Prints
 * what differs, and ends with 1 if anything does.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { compile } from '../../agent/runtime/tokenizers/flat/compile.ts';
import { openFlat } from '../../agent/runtime/tokenizers/flat/flat.ts';
import type { TextTokenizer } from '../../agent/runtime/tokenizers/tokenizer.ts';
import { chanceOf, Texts } from './texts.ts';

/** What is used of the package. */
interface Reference {
  encode(text: string, pair: null, options: { addSpecialTokens: boolean }): Promise<{ getIds(): number[] }>;
  decode(ids: readonly number[], skipSpecial: boolean): Promise<string>;
  disableTruncation(): void;
  disablePadding(): void;
}

const BATCH = 200;
const SHOWN = 5;

class Comparison {
  readonly #name: string;
  readonly #reference: Reference;
  readonly #tokenizer: TextTokenizer;
  compared = 0;
  different = 0;

  constructor(name: string, reference: Reference, tokenizer: TextTokenizer) {
    this.#name = name;
    this.#reference = reference;
    this.#tokenizer = tokenizer;
  }

  async text(text: string): Promise<void> {
    for (const addSpecial of [false, true]) {
      const due = await this.#reference.encode(text, null, { addSpecialTokens: addSpecial });
      const ids = this.#tokenizer.encode(text, { addSpecial, parseSpecial: true });
      this.#compare('encode', { text, addSpecial }, due.getIds(), ids);
      if (addSpecial) await this.ids(ids);
    }
  }

  async ids(ids: readonly number[]): Promise<void> {
    for (const skipSpecial of [false, true]) {
      // The package refuses to decode nothing.
      const due = ids.length === 0 ? '' : await this.#reference.decode(ids, skipSpecial);
      this.#compare('decode', { ids, skipSpecial }, due, this.#tokenizer.decode(ids, { skipSpecial }));
    }
  }

  #compare(what: string, given: object, due: unknown, got: unknown): void {
    this.compared += 1;
    if (JSON.stringify(due) === JSON.stringify(got)) return;
    this.different += 1;
    if (this.different > SHOWN) return;
    console.log(
      `${this.#name} ${what} ${JSON.stringify(given)}\n  rust ${JSON.stringify(due)}\n  flat ${JSON.stringify(got)}`,
    );
  }
}

async function prove(path: string, count: number, seed: number, files: readonly string[]): Promise<number> {
  const json: string = readFileSync(path, 'utf8');
  const parsed = JSON.parse(json);
  const reference = rust(json);
  const tokenizer = openFlat(compile(parsed, {}));
  const name = basename(path) === 'tokenizer.json' ? basename(dirname(path)) : basename(path, '.json');
  const comparison = new Comparison(name, reference, tokenizer);
  const added = parsed.added_tokens.map(({ content }: { content: string }) => content);
  const texts = new Texts(seed, files, added);
  const chance = chanceOf(seed + 1);
  for (let done = 0; done < count; done += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - done) }, async () => {
      await comparison.text(texts.next());
      const length = Math.floor(chance() * 12);
      await comparison.ids(Array.from({ length }, () => Math.floor(chance() * (tokenizer.size + 2))));
    });
    await Promise.all(batch);
  }
  const { compared, different } = comparison;
  console.log(`${name}: ${count} texts, ${compared} comparisons, ${different} differences`);
  return different;
}

function rust(json: string): Reference {
  const { Tokenizer } = createRequire(join(process.cwd(), 'package.json'))('tokenizers');
  const reference: Reference = Tokenizer.fromString(json);
  reference.disableTruncation();
  reference.disablePadding();
  return reference;
}

const [count = '', seed = '', list = '', ...tokenizers] = process.argv.slice(2);
if (tokenizers.length === 0) throw new Error('usage: proof.ts COUNT SEED FILES TOKENIZER.json...');
const files = readFileSync(list, 'utf8').split('\n').filter(Boolean);
let different = 0;
for (const path of tokenizers) different += await prove(path, Number(count), Number(seed), files);
process.exitCode = different > 0 ? 1 : 0;
