/** A language model behind the real agent, by Ollama's own client: a generated one that repeats what it is told. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Ollama } from 'ollama';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const folder = temporaryFolder();
let agent: RunningAgent;
let ollama: Ollama;

before(async () => {
  // Heavy enough that one can leave while it speaks.
  writeTinyLm(join(folder, 'parrot'), { id: 'parrot', seed: 6, payloadBytes: 80_000_000 });
  agent = await RunningAgent.start({
    config: { experts: [{ id: 'parrot', sources: [{ uri: `file:${join(folder, 'parrot')}` }] }] },
  });
  ollama = new Ollama({ host: agent.url });
  await agent.until(
    () => agent.experts(),
    (experts) => experts.some(({ id, task }) => id === 'parrot' && task !== null),
  );
});
after(async () => {
  await agent.stop();
  rmSync(folder, { recursive: true, force: true });
});

const user = (content: string) => ({ role: 'user', content });
const inMemory = async () => (await ollama.ps()).models.find(({ name }) => name === 'parrot:latest');

test('an empty request loads it for as long as it says, and unloads it', async () => {
  const loaded = await ollama.generate({ model: 'parrot', prompt: '', keep_alive: '2h' });
  assert.equal(loaded.done_reason, 'load');
  const row = await inMemory();
  const hours = (new Date(row?.expires_at ?? 0).getTime() - Date.now()) / 3_600_000;
  assert.ok(hours > 1.5 && hours < 2.5, `${hours} hours`);
  await ollama.chat({ model: 'parrot', messages: [user('hi')], keep_alive: -1 });
  assert.ok(new Date((await inMemory())?.expires_at ?? 0).getFullYear() > new Date().getFullYear() + 50);
  const unloaded = await ollama.generate({ model: 'parrot', prompt: '', keep_alive: 0 });
  assert.equal(unloaded.done_reason, 'unload');
  await agent.until(inMemory, (row) => row === undefined);
});

test('it answers whole and in pieces, counts, and stops where it is told', async () => {
  const whole = await ollama.chat({ model: 'parrot', messages: [user('one two three')] });
  assert.deepEqual([whole.message.content, whole.done_reason], ['parrot: one two three', 'stop']);
  assert.ok(whole.eval_count > 3 && whole.eval_duration > 0 && whole.prompt_eval_count > 3);
  let text = '';
  for await (const { message } of await ollama.chat({
    model: 'parrot',
    messages: [user('one two three')],
    stream: true,
  }))
    text += message.content;
  assert.equal(text, whole.message.content);
  const cut = await ollama.generate({
    model: 'parrot',
    prompt: 'one two three',
    options: { stop: [' three'] },
  });
  assert.deepEqual([cut.response, cut.done_reason], ['parrot: one two', 'stop']);
  const short = await ollama.generate({ model: 'parrot', prompt: 'one two', options: { num_predict: 2 } });
  assert.deepEqual([short.done_reason, short.eval_count], ['length', 2]);
});

test('a conversation that is too long loses its oldest part, and is refused where that is forbidden', async () => {
  const long = 'word '.repeat(300);
  const messages = [user(long), user(long), user(long), user('still here?')];
  const reply = await ollama.chat({ model: 'parrot', messages });
  assert.equal(reply.message.content, 'parrot: still here?');
  const forbidden = { model: 'parrot', messages, truncate: false };
  await assert.rejects(ollama.chat(forbidden), /tokens; parrot takes 1024/);
});

test('a schema is kept, and its faults are told', async () => {
  const format = { type: 'object', properties: { age: { type: 'integer' } }, required: ['age'] };
  const { response } = await ollama.generate({ model: 'parrot', prompt: 'person', format });
  assert.ok(Number.isInteger(JSON.parse(response ?? '').age), response);
  const faulty = { type: 'nonsense' };
  await assert.rejects(
    ollama.generate({ model: 'parrot', prompt: 'x', format: faulty }),
    /"nonsense" is no type/,
  );
});

test('a client that leaves in the middle frees the model', async () => {
  const words = Array.from({ length: 150 }, (_, at) => `v${at}`).join(' ');
  const stream = await ollama.chat({ model: 'parrot', messages: [user(words)], stream: true });
  await assert.rejects(async () => {
    let pieces = 0;
    for await (const _piece of stream) {
      pieces += 1;
      if (pieces === 3) stream.abort();
    }
  }, /abort/i);
  await agent.until(
    () => agent.state(),
    ({ running, waiting }) => running === 0 && waiting === 0,
  );
  const next = await ollama.chat({ model: 'parrot', messages: [user('again')] });
  assert.equal(next.message.content, 'parrot: again');
});
