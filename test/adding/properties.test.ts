/** Whatever files of a folder say, reading it ends with a draft or with a refusal that helps, and stays in the folder. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join, sep } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { readCard } from '../../agent/adding/card.ts';
import { draft } from '../../agent/adding/draft.ts';
import { ModelFolder } from '../../agent/adding/model-folder.ts';
import { AgentError } from '../../agent/errors.ts';
import { classifier, languageModel, newRoot, write } from './hub.ts';

let base: string;
before(() => {
  base = newRoot();
});
after(() => rmSync(base, { recursive: true, force: true }));

const WISHES = {
  id: null,
  version: null,
  model: null,
  summary: null,
  license: null,
  context: null,
  languages: [],
  examples: [],
};

/** Draws the folder up; an error must be one of ours, with a hint. */
function tryDraft(root: string): void {
  try {
    draft(new ModelFolder(root), WISHES);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    assert.equal(error.code, 'not_addable');
    assert.ok((error.hint ?? '').length > 0, error.message);
  }
}

test('JSON of any shape in the place of any setting', () => {
  const root = join(base, 'settings');
  languageModel(root, 'x');
  const files = ['config.json', 'generation_config.json', 'tokenizer_config.json', 'tokenizer.json'];
  const sound = new Map(files.map((path) => [path, JSON.parse(readFileSync(join(root, path), 'utf8'))]));
  const keys = files.flatMap((path) => Object.keys(sound.get(path)).map((key) => [path, key] as const));
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.jsonValue(), ([path, key], value) => {
      write(root, path, { ...sound.get(path), [key]: value });
      try {
        tryDraft(root);
      } finally {
        write(root, path, sound.get(path));
      }
    }),
    { numRuns: 150 },
  );
});

test('bytes of any kind in the place of the model, and a model with any byte changed', () => {
  const root = join(base, 'graphs');
  classifier(root);
  const path = join(root, 'onnx/model.onnx');
  const graph = readFileSync(path);
  const changed = fc.tuple(fc.nat(graph.length - 1), fc.nat(255)).map(([at, byte]) => {
    const bytes = Buffer.from(graph);
    bytes[at] = byte;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), changed), (bytes) => {
      write(root, 'onnx/model.onnx', bytes);
      tryDraft(root);
    }),
    { numRuns: 300 },
  );
});

test('a card of any text', () => {
  const root = join(base, 'cards');
  mkdirSync(root);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      write(root, 'README.md', `---\n${text}\n---\n`);
      const { license, languages, pipeline } = readCard(new ModelFolder(root));
      assert.ok(license === null || license !== '');
      assert.ok(languages.every((tag) => typeof tag === 'string'));
      assert.ok(pipeline === null || typeof pipeline === 'string');
    }),
  );
});

test('no path leads out of the folder', () => {
  const root = join(base, 'inside');
  write(root, 'a/b', 'x');
  write(base, 'secret', 'x');
  symlinkSync('..', join(root, 'up'));
  symlinkSync(join(base, 'secret'), join(root, 'out'));
  const folder = new ModelFolder(root);
  const step = fc.constantFrom('..', '.', 'a', 'b', 'up', 'out', 'secret', 'inside', '', 'proc', '\u0000');
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
      try {
        const found = folder.find(steps.join('/'));
        assert.ok(found === null || found.file.startsWith(root + sep), steps.join('/'));
      } catch (error) {
        assert.ok(error instanceof AgentError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
