/** Two experts of 60 MB, and a budget that holds one: every answer right, evictions visible, the budget kept. */
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { StateView } from '../../agent/service.ts';
import { labelOf, writeClassifier } from '../experts-made/classifier.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const PAYLOAD_BYTES = 60_000_000;
/** Agent, one bare cell, and what loading one expert takes (twice its weights); with another resident it is too little. */
const BUDGET = '270MB';
const BUDGET_BYTES = 270_000_000;
const LETTERS = ['alpha', 'beta', 'gamma'] as const;

const folder = temporaryFolder();
let agent: RunningAgent;

before(async () => {
  for (const [index, id] of ['red', 'blue'].entries()) {
    writeClassifier(join(folder, id), { id, seed: index + 1, payloadBytes: PAYLOAD_BYTES });
  }
  const config = { expertsDir: folder, embedder: null, memory: { budget: BUDGET, sampleMs: 100 } };
  agent = await RunningAgent.start({ config });
});
after(async () => {
  await agent.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function classify(id: string, letter: (typeof LETTERS)[number]): Promise<void> {
  const response = await agent.ask(letter, id, { response_format: { type: 'json_object' } });
  const answer = JSON.parse(await agent.text(response)) as { label: string };
  assert.equal(answer.label, labelOf(id, letter));
}

test("experts that do not fit together take turns; every answer is the right one's", async () => {
  for (let round = 0; round < 4; round++) {
    for (const id of ['red', 'blue']) await classify(id, LETTERS[round % 3] ?? 'alpha');
  }
  const { counts } = await agent.state();
  assert.ok((counts?.evictions ?? 0) >= 6, `evictions: ${counts?.evictions}`);
  const experts = await agent.experts();
  assert.ok(
    experts.every((one) => one.memory?.measured),
    'both have a profile',
  );
});

test('with both profiles known, what is measured stays within the budget while they take turns', async () => {
  const seen: StateView[] = [];
  let done = false;
  const watcher = (async () => {
    while (!done) {
      seen.push(await agent.state());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  for (let round = 0; round < 6; round++) {
    for (const id of ['red', 'blue']) await classify(id, LETTERS[round % 3] ?? 'alpha');
  }
  done = true;
  await watcher;
  const measured = seen.map((state) => state.measuredBytes ?? 0);
  assert.ok(measured.length >= 5 && Math.max(...measured) > 100e6, 'it was measured');
  assert.ok(Math.max(...measured) <= BUDGET_BYTES, `measured up to ${Math.max(...measured)}`);
  assert.ok(
    seen.every((state) => state.committedBytes <= BUDGET_BYTES),
    'the ledger never went over',
  );
});

test('many at once for both: one load serves all who wait, and nobody is left out', async () => {
  const asked = Array.from({ length: 24 }, (_, i) =>
    classify(i % 2 === 0 ? 'red' : 'blue', LETTERS[i % 3] ?? 'alpha'),
  );
  await Promise.all(asked);
});

test('the decision of an eviction says for whom, and what the victim was worth', async () => {
  await classify('red', 'alpha');
  const response = await agent.ask('alpha', 'blue');
  await agent.text(response);
  const story = await agent.explain(response.headers.get('x-expertd-decision') ?? '');
  const words = story.timeline.flatMap(({ reasons }) => reasons).join('\n');
  assert.match(words, /unload red .*for blue/);
  assert.match(words, /load blue in /);
});

test('an expert that can never fit is a 413 with the numbers, at once', async () => {
  const small = await RunningAgent.start({
    config: { expertsDir: folder, embedder: null, memory: { budget: '120MB' } },
  });
  try {
    const response = await small.ask('alpha', 'red');
    const body = (await response.json()) as { error: { code: string; message: string } };
    assert.equal(response.status, 413);
    assert.equal(body.error.code, 'too_large');
    assert.match(body.error.message, /needs a budget of \d+ bytes.*the budget is 120000000 bytes/);
  } finally {
    await small.stop();
  }
});

test('a flipped bit puts one expert in quarantine by name; the other goes on', async () => {
  const tampered = temporaryFolder();
  for (const id of ['red', 'blue']) cpSync(join(folder, id), join(tampered, id), { recursive: true });
  const { openSync, writeSync, closeSync } = await import('node:fs');
  const file = openSync(join(tampered, 'red/onnx/model.onnx_data'), 'r+');
  writeSync(file, Buffer.from([0x55]), 0, 1, 30_000_000);
  closeSync(file);
  const other = await RunningAgent.start({
    config: { expertsDir: tampered, embedder: null, memory: { budget: '400MB' } },
  });
  try {
    const response = await other.ask('alpha', 'red');
    const body = (await response.json()) as { error: { code: string; message: string } };
    assert.equal(response.status, 500);
    assert.match(body.error.message, /"red".*onnx\/model\.onnx_data/);
    assert.equal((await other.ask('alpha', 'blue')).status, 200);
    assert.equal((await other.experts()).find((one) => one.id === 'red')?.state, 'quarantined');
    assert.equal((await other.ask('alpha', 'red')).status, 503);
    cpSync(join(folder, 'red'), join(tampered, 'red'), { recursive: true });
    assert.equal((await other.post('/expertd/v1/experts/red/clear', {})).status, 200);
    assert.equal((await other.ask('alpha', 'red')).status, 200, 'mended and cleared, it works');
  } finally {
    await other.stop();
    rmSync(tampered, { recursive: true, force: true });
  }
});
