/**
 * The tokenizer of a package of the Hugging Face layout: the one that was compiled on this device, else its files,
 * compiled in memory, else what the library makes of them.
 *
 * A compiled file is read, not mapped: 2 MB for 49,152 tokens take 0.3 ms. Mapped, its pages would be the page cache's
 * and could be taken back, but a text touches them all over, and reading needs no foreign call.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { badExpert, readListed } from '../graph.ts';
import type { TaskContext } from '../task.ts';
import { openFlat } from './flat/flat.ts';
import { openLibrary } from './library.ts';
import type { NamedFile, TextTokenizer } from './tokenizer.ts';

/** Rejects with `bad_expert` for files that make no tokenizer. */
export async function openTokenizer(context: TaskContext): Promise<TextTokenizer> {
  const { prepared, manifest } = context;
  if (prepared?.tokenizer) return openFlat(await readFile(join(prepared.directory, prepared.tokenizer)));
  const settings = manifest.tokenizer;
  if (settings?.kind !== 'huggingface')
    throw badExpert(manifest, 'this task needs a tokenizer of kind "huggingface"');
  const file = await readListed(context, settings.path);
  return openFiles(file, await readListed(context, settings.config));
}

/**
 * The tokenizer of a `tokenizer.json`, or of BERT's `vocab.txt`, which takes less memory to read; and of a
 * `tokenizer_config.json`. Rejects with `bad_expert` for files that make none.
 */
export async function openFiles(file: NamedFile, configFile: NamedFile): Promise<TextTokenizer> {
  const config = parseObject(configFile);
  const tokenizerJson = file.path.endsWith('.txt') ? null : parseObject(file);
  try {
    if (tokenizerJson !== null) return await openJson(tokenizerJson, config);
    const { compileVocabulary } = await import('./flat/compile-vocabulary.ts');
    return openFlat(compileVocabulary(file.bytes, config));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const hint = error.hint === null ? {} : { hint: error.hint };
    throw new AgentError(error.code, `${file.path}: ${error.message}`, { ...hint, cause: error });
  }
}

async function openJson(tokenizerJson: object, config: object): Promise<TextTokenizer> {
  const { compile } = await import('./flat/compile.ts');
  try {
    return openFlat(compile(tokenizerJson, config));
  } catch (error) {
    if (error instanceof AgentError && error.code === 'unsupported_tokenizer')
      return openLibrary(tokenizerJson, config);
    throw error;
  }
}

function parseObject({ path, bytes }: NamedFile): object {
  let value: unknown = null;
  let reason = 'it is not an object';
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new AgentError('bad_expert', `${path} cannot be read: ${reason}.`, {
    hint: 'Fetch the expert again.',
  });
}
