/** The shipped glossaries, each through the same tests: its files, its golden questions, its words, its scores. */
import '../runtime/retrieval-telemetry.ts';

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Task } from '../../agent/runtime/task.ts';
import { RetrievalIndex } from '../../agent/runtime/tasks/retrieval-index.ts';
import { ask, embed, openExpert } from '../../scripts/experts/glossary/embedding.ts';
import { listFiles, parseManifest } from '../../scripts/experts/manifest.ts';

const EXPERTS = join(import.meta.dirname, '../../experts');
const EMBEDDER = join(EXPERTS, 'embedder');
const MAX_BYTES = 8_000_000;

interface Expected {
  readonly id: string;
  readonly source: RegExp;
  readonly words: { readonly own: readonly string[]; readonly everybodys: readonly string[] };
  /** Questions in other words, with the entry that meaning finds among the first three. */
  readonly described: Readonly<Record<string, string>>;
  readonly foreign: string;
  /** Part of the licence that must be shipped. */
  readonly license: RegExp;
}

const GLOSSARIES: readonly Expected[] = [
  {
    id: 'medical',
    source: /^WordNet 3\.1, (?:noun|verb|adj|adv) \d{8}$/,
    words: {
      own: ['tachycardia', 'asthma', 'insulin'],
      everybodys: ['back', 'cold', 'drink', 'foot', 'heart', 'head'],
    },
    described: {
      'my heart beats too fast, what is that called?': 'tachycardia',
      'fear of closed spaces like elevators': 'claustrophobia',
      'ringing in my ears that never stops': 'tinnitus',
    },
    foreign: 'how do I book a table in a restaurant',
    license: /WordNet/,
  },
  {
    id: 'legal',
    source: /^(?:WordNet 3\.1, (?:noun|verb|adj|adv) \d{8}|SPDX License List, [\w.-]+)$/,
    words: {
      own: ['plaintiff', 'perjury', 'lawsuit', 'attorney'],
      everybodys: ['case', 'right', 'will', 'party', 'deed', 'bar'],
    },
    described: {
      'someone who is accused in court': 'defendant',
      'a person who makes laws': 'legislator',
      'stealing things from a shop': 'shoplifting',
    },
    foreign: 'how long do I boil an egg',
    license: /WordNet[\s\S]*SPDX License List|SPDX License List[\s\S]*WordNet/,
  },
  {
    id: 'computing',
    source: /^(?:FOLDOC: .+|WordNet 3\.1, (?:noun|verb|adj|adv) \d{8})$/,
    words: {
      own: ['compiler', 'ethernet', 'spreadsheet', 'database'],
      everybodys: ['apple', 'bus', 'mouse', 'memory', 'file', 'window'],
    },
    described: {
      'program that translates source code into machine code': 'compiler',
      'a network of computers inside one office building': 'local area network',
      'smallest point of a picture on the screen': 'picture element',
    },
    foreign: 'my cat does not want to eat her food',
    license: /Editor Denis Howe[\s\S]*GNU Free Documentation License[\s\S]*WordNet/,
  },
];

for (const { id, source, words, described, foreign, license } of GLOSSARIES) {
  const folder = join(EXPERTS, id);
  const manifest = parseManifest(readFileSync(join(folder, 'expert.json'), 'utf8'));
  const read = (path: string): string => readFileSync(join(folder, path), 'utf8');

  describe(`the glossary ${id}`, () => {
    let glossary: Task;
    before(async () => {
      glossary = await openExpert(folder);
    });
    after(() => glossary.release());

    test('lists its files as they are, and stays small', async () => {
      assert.deepEqual(manifest.files, await listFiles(folder));
      const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
      assert.ok(bytes < MAX_BYTES, `${bytes} bytes`);
    });

    test('ships the licences of its sources', () => assert.match(read('LICENSE'), license));

    test('golden questions are answered from the folder alone, by words', async () => {
      for (const { input, output } of manifest.golden) {
        const [first] = await ask(glossary, input, null);
        assert.equal(first?.title, titleOf(output), input);
      }
    });

    test('every record is clean: terms, a definition that is shown whole, a source', () => {
      const index = new RetrievalIndex(join(folder, manifest.index?.entries ?? ''));
      try {
        for (let entry = 0; entry < index.entryCount; entry += 1) {
          const record = index.record(entry);
          const shown = JSON.stringify(record);
          assert.match(record.source, source, shown);
          assert.ok(
            record.terms.every((term) => term.trim() === term && term !== ''),
            shown,
          );
          assert.ok(record.gloss.length > 2 && record.gloss.length <= 700, shown);
          assert.doesNotMatch(record.gloss, /[{}]|\s{2}|^\W*$/, shown);
        }
      } finally {
        index.close();
      }
    });

    test('the first term of an entry finds an entry that has it', async () => {
      const index = new RetrievalIndex(join(folder, manifest.index?.entries ?? ''));
      const misses: string[] = [];
      let asked = 0;
      for (let entry = 0; entry < index.entryCount; entry += 97) {
        const term = index.record(entry).terms[0] ?? '';
        const [first] = await ask(glossary, `what is ${term}?`, null);
        const names = `${first?.title}, ${first?.text}`.toLowerCase();
        asked += 1;
        if (!names.includes(term.toLowerCase())) misses.push(`${term} -> ${first?.title}`);
      }
      index.close();
      assert.ok(misses.length <= asked / 50, misses.join('; '));
    });

    test('its words for routing are single, specific and sorted', () => {
      const vocabulary = read(manifest.routing.vocabulary ?? '')
        .trimEnd()
        .split('\n');
      assert.deepEqual(vocabulary, [...new Set(vocabulary)].toSorted());
      assert.ok(vocabulary.every((word) => /^[a-z]{4,}$/.test(word)));
      for (const word of words.own) assert.ok(vocabulary.includes(word), word);
      for (const word of words.everybodys) assert.ok(!vocabulary.includes(word), word);
    });

    test('says that it speaks English and nothing else', () => {
      assert.deepEqual(manifest.routing.languages, ['en']);
    });
  });

  const reason = existsSync(join(EMBEDDER, 'expert.json')) ? false : 'experts/embedder is not there';
  describe(`the glossary ${id} with the embedder`, { skip: reason }, () => {
    let [glossary, embedder]: Task[] = [];
    before(async () => {
      [glossary, embedder] = [await openExpert(folder), await openExpert(EMBEDDER)];
    });
    after(() => Promise.all([glossary?.release(), embedder?.release()]));

    const passages = async (question: string) => {
      assert.ok(glossary !== undefined && embedder !== undefined);
      return ask(glossary, question, await embed(embedder, question));
    };

    test('was made with this embedder', () => {
      const model = readFileSync(join(EMBEDDER, 'onnx/model.onnx'));
      assert.equal(manifest.index?.embedderSha256, createHash('sha256').update(model).digest('hex'));
    });

    test('golden questions are answered', async () => {
      for (const { input, output } of manifest.golden) {
        assert.equal((await passages(input))[0]?.title, titleOf(output), input);
      }
    });

    test('finds what is described in other words', async () => {
      for (const [question, title] of Object.entries(described)) {
        const titles = (await passages(question)).slice(0, 3).map((passage) => passage.title);
        assert.ok(titles.includes(title), `${question} -> ${titles.join(', ')}`);
      }
    });

    test('scores mean something: a named term is near certain, a question about the world is not', async () => {
      const score = async (question: string): Promise<number> => (await passages(question))[0]?.score ?? 0;
      assert.ok((await score(manifest.golden[0]?.input ?? '')) > 0.85);
      assert.ok((await score(foreign)) < 0.35);
    });
  });
}

test('a word for routing belongs to one glossary, but for a few that two fields share', () => {
  const owners = new Map<string, string[]>();
  for (const { id } of GLOSSARIES) {
    for (const word of readFileSync(join(EXPERTS, id, 'vocabulary.txt'), 'utf8')
      .trimEnd()
      .split('\n')) {
      owners.set(word, [...(owners.get(word) ?? []), id]);
    }
  }
  const shared = [...owners].filter(([, ids]) => ids.length > 1).map(([word]) => word);
  assert.ok(shared.length <= 12, shared.join(', '));
});

function titleOf(output: unknown): string {
  assert.ok(typeof output === 'object' && output !== null && 'title' in output);
  return String(output.title);
}
