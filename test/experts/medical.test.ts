import '../runtime/retrieval-telemetry.ts';

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Ask } from '../../agent/ports.ts';
import { openSession } from '../../agent/runtime/session.ts';
import type { Task } from '../../agent/runtime/task.ts';
import { findTask } from '../../agent/runtime/tasks/index.ts';
import { RetrievalIndex } from '../../agent/runtime/tasks/retrieval-index.ts';
import { listFiles, parseManifest } from '../../scripts/experts/manifest.ts';
import { chat, passagesOf, RUN } from '../runtime/retrieval-package.ts';

const EXPERTS = join(import.meta.dirname, '../../experts');
const FOLDER = join(EXPERTS, 'medical');
const manifest = parseManifest(readFileSync(join(FOLDER, 'expert.json'), 'utf8'));

async function open(directory: string): Promise<Task> {
  const found = parseManifest(readFileSync(join(directory, 'expert.json'), 'utf8'));
  const openTask = await findTask(found.task);
  return openTask({
    manifest: found,
    directory,
    openSession: (path) => openSession({ directory, manifest: found }, path, 1),
  });
}

function titleOf(output: unknown): string {
  assert.ok(typeof output === 'object' && output !== null && 'title' in output);
  return String(output.title);
}

describe('the medical glossary', () => {
  let medical: Task;
  before(async () => {
    medical = await open(FOLDER);
  });
  after(() => medical.release());

  test('lists its files as they are, and stays small', async () => {
    assert.deepEqual(manifest.files, await listFiles(FOLDER));
    const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    assert.ok(bytes < 10_000_000, `${bytes} bytes`);
  });

  test('golden questions are answered from the folder alone, by words', async () => {
    for (const { input, output } of manifest.golden) {
      const [first] = await passagesOf(medical, chat(input, null));
      assert.equal(first?.title, titleOf(output), input);
    }
  });

  test('every first term of an entry finds an entry that has it', async () => {
    const index = new RetrievalIndex(join(FOLDER, manifest.index?.entries ?? ''));
    const misses: string[] = [];
    for (let entry = 0; entry < index.entryCount; entry += 97) {
      const term = index.record(entry).terms[0] ?? '';
      const [first] = await passagesOf(medical, chat(`what is ${term}?`, null));
      const names = `${first?.title}, ${first?.text}`.toLowerCase();
      if (!names.includes(term.toLowerCase())) misses.push(`${term} -> ${first?.title}`);
    }
    index.close();
    assert.deepEqual(misses, []);
  });

  test('every answer names its source', async () => {
    for (const passage of await passagesOf(medical, chat('heart beats too fast', null))) {
      assert.match(passage.source, /^WordNet 3\.1, (?:noun|verb|adj|adv) \d{8}$/);
    }
  });

  test('its words for routing are single, specific and sorted', () => {
    const words = readFileSync(join(FOLDER, manifest.routing.vocabulary ?? ''), 'utf8')
      .trimEnd()
      .split('\n');
    assert.deepEqual(words, words.toSorted());
    assert.ok(words.every((word) => /^[a-z]{4,}$/.test(word)));
    for (const word of ['tachycardia', 'asthma', 'insulin']) assert.ok(words.includes(word), word);
    for (const word of ['back', 'cold', 'drink', 'foot', 'heart', 'head'])
      assert.ok(!words.includes(word), word);
  });
});

const EMBEDDER = join(EXPERTS, 'embedder');
const reason = existsSync(join(EMBEDDER, 'expert.json')) ? false : 'experts/embedder is not there';

describe('the medical glossary with the embedder', { skip: reason }, () => {
  let medical: Task;
  let embedder: Task;
  before(async () => {
    [medical, embedder] = [await open(FOLDER), await open(EMBEDDER)];
  });
  after(() => Promise.all([medical.release(), embedder.release()]));

  const titles = async (question: string): Promise<readonly string[]> => {
    const vectors = await embedder.run({ kind: 'embeddings', texts: [question] } satisfies Ask, RUN);
    assert.ok(vectors.kind === 'embeddings');
    const passages = await passagesOf(medical, chat(question, vectors.vectors[0] ?? null));
    return passages.map(({ title }) => title);
  };

  test('was made with this embedder', () => {
    const model = readFileSync(join(EMBEDDER, 'onnx/model.onnx'));
    assert.equal(manifest.index?.embedderSha256, createHash('sha256').update(model).digest('hex'));
  });

  test('golden questions are answered', async () => {
    for (const { input, output } of manifest.golden)
      assert.equal((await titles(input))[0], titleOf(output), input);
  });

  test('finds what is described in other words, where words alone do not', async () => {
    const described = {
      'my heart beats too fast, what is that called?': 'tachycardia',
      'fear of closed spaces like elevators': 'claustrophobia',
      'ringing in my ears that never stops': 'tinnitus',
    };
    for (const [question, title] of Object.entries(described)) {
      assert.ok(
        (await titles(question)).slice(0, 3).includes(title),
        `${question} -> ${await titles(question)}`,
      );
    }
    const byWords = await passagesOf(medical, chat('my heart beats too fast, what is that called?', null));
    assert.ok(byWords.every(({ title }) => title !== 'tachycardia'));
  });

  test('scores mean something: a named term is near certain, a question about the world is not', async () => {
    const score = async (question: string): Promise<number> => {
      const vectors = await embedder.run({ kind: 'embeddings', texts: [question] }, RUN);
      assert.ok(vectors.kind === 'embeddings');
      return (await passagesOf(medical, chat(question, vectors.vectors[0] ?? null)))[0]?.score ?? 0;
    };
    assert.ok((await score('what is tachycardia?')) > 0.9);
    assert.ok((await score('how do I book a table in a restaurant')) < 0.35);
  });
});
