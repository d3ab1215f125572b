/** The issue's own examples, through the real program: HTTP, a decision, a row, a cell, a model, a reply. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { RunningAgent } from './running-agent.ts';

let agent: RunningAgent;
before(async () => {
  agent = await RunningAgent.start();
});
after(() => agent.stop());

function header(response: Response, name: string): string {
  return response.headers.get(`x-expertd-${name}`) ?? '';
}

test('a medical question is answered by the glossary, which had to be loaded; explain says why', async () => {
  const response = await agent.ask('what is tachycardia?');
  const text = await agent.text(response);
  assert.equal(header(response, 'expert'), 'medical');
  assert.match(text, /tachycardia/i);
  assert.match(text, /WordNet/);
  const story = await agent.explain(header(response, 'decision'));
  assert.equal(story.choice?.expert, 'medical');
  assert.ok(
    story.timeline.some(({ steps }) => steps.some((step) => /load/.test(step))),
    JSON.stringify(story.timeline),
  );
  assert.equal(story.asked?.text, null);
  assert.match(story.asked?.sha256 ?? '', /^[0-9a-f]{64}$/);
});

test('a question about a language is answered by lang-id, about the text and not the question', async () => {
  const response = await agent.ask('in which language is this: ¿dónde está la biblioteca?');
  assert.match(await agent.text(response), /Spanish/);
  assert.equal(header(response, 'expert'), 'lang-id');
});

test('once the embedder is resident and has learned the examples, meaning decides', async () => {
  const question = 'my heart beats much too fast, what do doctors call that?';
  await agent.until(
    async () =>
      (await (await agent.post('/expertd/v1/route', { question })).json()) as { expert: string | null },
    ({ expert }) => expert === 'medical',
  );
  const response = await agent.ask(question);
  await agent.text(response);
  assert.equal(header(response, 'expert'), 'medical');
  const story = await agent.explain(header(response, 'decision'));
  assert.equal(story.choice?.router, 'nearest');
  assert.match(story.choice?.candidates[0]?.why ?? '', /closeness/);
});

test("nonsense is nobody's: the reply says so and names what is installed", async () => {
  await agent.untilResident('embedder');
  const response = await agent.ask('asdf qwer zxcv');
  const text = await agent.text(response);
  assert.equal(header(response, 'abstained'), 'true');
  assert.match(text, /medical/);
  const story = await agent.explain(header(response, 'decision'));
  assert.equal(story.choice?.expert, null);
});

test('a named expert bypasses the router', async () => {
  const response = await agent.ask('Guten Morgen, wie geht es Ihnen heute?', 'lang-id', {
    response_format: { type: 'json_object' },
  });
  const answer = JSON.parse(await agent.text(response)) as { label: string; score: number };
  assert.equal(answer.label, 'de');
  assert.ok(answer.score > 0.5);
});

test("npm's openai client works unmodified: models, chat, stream, embeddings, an error", async () => {
  const client = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const models = await client.models.list();
  const ids = models.data.map((model) => model.id);
  assert.ok(
    ['auto', 'embedder', 'lang-id', 'medical'].every((id) => ids.includes(id)),
    ids.join(),
  );
  const messages = [{ role: 'user' as const, content: 'what is hypertension?' }];
  const chat = await client.chat.completions.create({ model: 'medical', messages });
  assert.match(chat.choices[0]?.message.content ?? '', /blood pressure/i);
  let streamed = '';
  for await (const chunk of await client.chat.completions.create({
    model: 'medical',
    messages,
    stream: true,
  })) {
    streamed += chunk.choices[0]?.delta.content ?? '';
  }
  assert.equal(streamed, chat.choices[0]?.message.content);
  const embeddings = await client.embeddings.create({
    model: 'embedder',
    input: ['a cat', 'a kitten', 'a tax return'],
  });
  const [cat, kitten, tax] = embeddings.data.map((one) => one.embedding);
  assert.ok(cat !== undefined && kitten !== undefined && tax !== undefined && cat.length === 384);
  assert.ok(dot(cat, kitten) > dot(cat, tax) + 0.2);
  await assert.rejects(
    client.chat.completions.create({ model: 'nobody', messages }),
    (error) => error instanceof OpenAI.NotFoundError,
  );
});

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}

test('the budget is one number over what was measured, and the numbers add up', async () => {
  const state = await agent.until(
    () => agent.state(),
    (one) => (one.measuredBytes ?? 0) > 60e6,
  );
  assert.ok(state.committedBytes <= state.budgetBytes);
  assert.ok(state.measuredBytes !== null && state.measuredBytes > 60e6 && state.measuredBytes < 400e6);
  assert.equal(state.admission, 'open');
});
