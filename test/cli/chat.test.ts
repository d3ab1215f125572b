/** `expertd chat` against a server over the fake service, with somebody at a fake terminal, and over a pipe. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { chatCommand } from '../../agent/cli/chat.ts';
import { dispatch } from '../../agent/cli/dispatch.ts';
import type { Dialogue, Entered, Io } from '../../agent/cli/io.ts';
import { HttpServer } from '../../agent/http/server.ts';
import type { ChatMessage } from '../../agent/ports.ts';
import { FakeService, refusal } from '../fakes/service.ts';
import { LOCAL } from '../http/harness.ts';

let folder: string;
let service: FakeService;
let server: HttpServer;
let url: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'expertd-chat-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  service = new FakeService();
  server = new HttpServer(service, LOCAL, { error() {} });
  url = await server.start();
});
afterEach(() => server.stop(1_000));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What was waited between two tries. */
  readonly waits: readonly number[];
}

async function run(
  flags: readonly string[],
  change: Partial<Io>,
  onOut: (text: string) => void = () => {},
): Promise<Ran> {
  const [out, err, waits]: [string[], string[], number[]] = [[], [], []];
  const io: Io = {
    stdout: {
      write: (text) => {
        out.push(text);
        onOut(text);
      },
    },
    stderr: { write: (text) => err.push(text) },
    stdin: (async function* () {})(),
    env: { NO_COLOR: '1' },
    isTTY: false,
    ...change,
  };
  const sleep = async (ms: number): Promise<void> => void waits.push(ms);
  const code = await dispatch(['chat', '--url', url, ...flags], [chatCommand(sleep)], '1.2.3', io);
  return { code, out: out.join(''), err: err.join(''), waits };
}

/** Over a pipe: parts as they come out of it. */
const pipe = (parts: readonly string[], ...flags: string[]): Promise<Ran> =>
  run(flags, {
    stdin: (async function* () {
      for (const part of parts) yield Buffer.from(part);
    })(),
  });

class FakeDialogue implements Dialogue {
  readonly prompts: string[] = [];
  readonly #entries: Entered[];
  #interrupt: () => void = () => {};
  #columns = 80;

  constructor(entries: readonly (string | Entered)[], columns = 80) {
    this.#entries = entries.map((one) => (typeof one === 'string' ? { kind: 'text', text: one } : one));
    this.#columns = columns;
  }

  columns(): number {
    return this.#columns;
  }

  async read(prompt: string): Promise<Entered> {
    this.prompts.push(prompt);
    return this.#entries.shift() ?? { kind: 'end' };
  }

  onInterrupt(listener: () => void): () => void {
    this.#interrupt = listener;
    return () => {
      this.#interrupt = () => {};
    };
  }

  pressCtrlC(): void {
    this.#interrupt();
  }
}

const CTRL_C: Entered = { kind: 'interrupt', discarded: false };

const talk = (entries: readonly (string | Entered)[], ...flags: string[]): Promise<Ran> =>
  run(flags, { isTTY: true, dialogue: new FakeDialogue(entries) });

/** The messages of the request with this number. */
function messages(at: number): readonly ChatMessage[] {
  const ask = service.asked[at]?.ask;
  assert.ok(ask?.kind === 'chat');
  return ask.messages;
}

describe('over a pipe', () => {
  test('each line is a message, and what was said goes along', async () => {
    const ran = await pipe(['write a', ' poem\r\nwrite', ' more'], '--system', 'Be brief.');
    assert.deepEqual([ran.code, ran.out, ran.err], [0, 'Hello you\nHello you\n', '']);
    assert.deepEqual(messages(1), [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'write a poem' },
      { role: 'assistant', content: 'Hello you' },
      { role: 'user', content: 'write more' },
    ]);
  });

  test('a block is one message, also one that nothing ends; empty lines are none', async () => {
    await pipe(['"""write\n  this\n\nand that\n"""\n\n   \n"""\nwrite on']);
    assert.deepEqual(
      service.asked.map((_, at) => messages(at).at(-1)?.content),
      ['write\n  this\n\nand that', 'write on'],
    );
  });

  test('flags reach the agent, and wrong ones do not', async () => {
    await pipe(['write'], '--model', 'writer', '--temperature', '0.5', '--max-tokens', '7', '--seed', '3');
    const ask = service.asked[0]?.ask;
    assert.ok(ask?.kind === 'chat');
    const { temperature, maxTokens, seed, overflow } = ask.generation;
    assert.equal(overflow, 'truncate', 'a long talk goes on without its beginning');
    assert.deepEqual([service.asked[0]?.model, temperature, maxTokens, seed], ['writer', 0.5, 7, 3]);
    for (const flags of [
      ['--temperature', '3'],
      ['--temperature', '-1'],
      ['--seed', 'x'],
      ['--max-tokens', '0'],
    ])
      assert.equal((await pipe(['write'], ...flags)).code, 2, flags.join(' '));
    assert.match((await pipe([], '--model', 'wrter')).err, /Did you mean "writer"/);
  });

  test('the first failure ends it with its code; nobody being confident shows in the code', async () => {
    service.failures.push(refusal('queue_full'));
    const failed = await pipe(['write\nwrite\n']);
    assert.deepEqual([failed.code, failed.out, service.asked.length], [4, '', 1]);
    assert.match(failed.err, /Refused with queue_full.*\nWhy: expertd explain 41/);
    const abstained = await pipe(['asdf\nwrite\n']);
    assert.equal(abstained.code, 4);
    assert.match(abstained.out, /No installed expert is confident[\s\S]*Hello you\n$/);
    assert.deepEqual(
      messages(2).map(({ content }) => content),
      ['write'],
      'what nobody answered was not said',
    );
    const broken = await pipe(['/wy\nwrite\n']);
    assert.equal(broken.code, 2);
    assert.match(broken.err, /there is no command \/wy\nDid you mean "\/why"/);
  });

  test('an answer that breaks off in the middle fails, after what came of it', async () => {
    service.betweenPieces = async () => {
      throw refusal('cell_exited');
    };
    const { code, out, err } = await pipe(['write\nwrite\n']);
    assert.deepEqual([code, out], [1, 'Hel\n']);
    assert.match(err, /cell_exited/i);
  });
});

describe('an expert that is on its way', () => {
  const loading = (progress: number | null, state: 'loading' | 'fetching' = 'loading') =>
    refusal('loading', { retryAfterMs: 3_000, loading: { state, progress, etaSeconds: 3 } });

  test('is waited for, with a line that says so', async () => {
    service.failures.push(loading(null, 'fetching'), loading(0.4), loading(0.4));
    const { code, out, err, waits } = await pipe(['write']);
    assert.deepEqual([code, out, waits], [0, 'Hello you\n', [3_000, 3_000, 3_000]]);
    assert.equal(
      err,
      'the expert is being fetched; trying again\nthe expert is being loaded (40 %); trying again\n',
    );
  });

  test('is given up when it does not come on', async () => {
    service.failures.push(...Array.from({ length: 200 }, () => loading(0.1)));
    const { code, waits } = await pipe(['write']);
    assert.equal(code, 4);
    assert.equal(
      waits.reduce((sum, ms) => sum + ms, 0),
      300_000,
    );
  });

  test('at a terminal the line is written over, and fits a narrow one', async () => {
    service.failures.push(loading(0.4), loading(0.8));
    const { out } = await run([], { isTTY: true, dialogue: new FakeDialogue(['write'], 30) });
    const lines = out.split('\r\u001b[K').slice(1, -1);
    assert.deepEqual(lines, ['the expert is being loaded (…', 'the expert is being loaded (…']);
    for (const line of lines) assert.ok(line.length < 30);
    assert.ok(out.includes('\r\u001b[Kwriter, 87 %\nHello you\n'));
  });
});

describe('at a terminal', () => {
  test('who answers is said, colours only where they are wanted', async () => {
    const plain = await talk(['write', 'what is tachycardia?']);
    assert.match(plain.out, /\nwriter, 87 %\nHello you\nmedical, 87 %\ntachycardia: A heart rate/);
    assert.ok(!plain.out.includes('\u001b['));
    const coloured = await run([], { isTTY: true, env: {}, dialogue: new FakeDialogue(['write']) });
    assert.ok(coloured.out.includes('\u001b[2mwriter, 87 %\u001b[0m\nHello you\n'));
  });

  test('control characters of an answer do not reach the terminal', async () => {
    const evil = '\u001b]0;owned\u0007\u001b[2J\r\u009b31m\u202egnp.exe\u0000';
    service.pieces = [evil.slice(0, 4), evil.slice(4)];
    const { out } = await talk(['write']);
    assert.match(out, /␛\]0;owned␇␛\[2J␍\uFFFD31m\uFFFDgnp\.exe␀/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test('Ctrl-C ends an answer and not the chat, and what came of it was said', async () => {
    const dialogue = new FakeDialogue(['write', 'write more']);
    service.betweenPieces = async (index, signal) => {
      if (index !== 1 || service.asked.length > 1) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    const press = (text: string): void => {
      if (text === 'lo ') dialogue.pressCtrlC();
    };
    const { code, out } = await run([], { isTTY: true, dialogue }, press);
    assert.equal(code, 0);
    assert.match(out, /Hello \n\(ended\)\nwriter, 87 %\nHello you\n/);
    assert.deepEqual(messages(1).slice(0, 2), [
      { role: 'user', content: 'write' },
      { role: 'assistant', content: 'Hello ' },
    ]);
    assert.ok(service.signals[0]?.aborted, 'the agent was told');
  });

  test('Ctrl-C twice where nothing is written ends it; after text, or with text between, it does not', async () => {
    const entries: Entered[] = [
      CTRL_C,
      { kind: 'text', text: 'write' },
      { kind: 'interrupt', discarded: true },
      CTRL_C,
    ];
    const dialogue = new FakeDialogue([...entries, CTRL_C, 'write never']);
    const { code, out } = await run([], { isTTY: true, dialogue });
    assert.deepEqual([code, service.asked.length, dialogue.prompts.length], [0, 1, 5]);
    assert.equal(out.match(/Ctrl-C again, or Ctrl-D, ends the chat/g)?.length, 2);
  });

  test('an error is told, and the chat goes on', async () => {
    service.failures.push(refusal('pressure'));
    const { code, out, err } = await talk(['write', 'write', '/nothing']);
    assert.equal(code, 0);
    assert.match(err, /Refused with pressure[\s\S]*there is no command \/nothing/);
    assert.match(out, /Hello you/);
    assert.equal(messages(1).length, 1, 'what failed was not said');
  });

  test('a block changes the prompt; Ctrl-C drops it', async () => {
    const dialogue = new FakeDialogue(['"""', 'write', CTRL_C, '"""write', 'this"""']);
    await run([], { isTTY: true, dialogue });
    assert.deepEqual(dialogue.prompts, ['> ', '. ', '. ', '> ', '. ', '> ']);
    assert.deepEqual(messages(0), [{ role: 'user', content: 'write\nthis' }]);
  });

  test('a paste of several lines is one message, even if it begins like a command', async () => {
    await talk(['/etc/hosts says:\nwrite', '//write']);
    assert.equal(messages(0)[0]?.content, '/etc/hosts says:\nwrite');
    assert.equal(messages(1).at(-1)?.content, '/write');
  });
});

describe('commands', () => {
  test('/model, /system and /reset change what is asked next', async () => {
    const { out, err } = await talk([
      'write',
      '/model writr',
      '/model writer',
      '/system Rhyme.',
      '/reset',
      'hello',
      '/system',
      'you',
    ]);
    assert.match(err, /Did you mean "writer"/);
    assert.match(out, /You talk to writer\./);
    assert.equal(service.asked[1]?.model, 'writer');
    assert.deepEqual(messages(1), [
      { role: 'system', content: 'Rhyme.' },
      { role: 'user', content: 'hello' },
    ]);
    assert.equal(messages(2)[0]?.role, 'user');
  });

  test('/experts lists them within the width, /why tells the story of the last decision, /help all commands', async () => {
    const dialogue = new FakeDialogue(
      ['/experts', '/why', 'in which language is this: hola', '/why', '/help', '/quit', 'x'],
      24,
    );
    const { out, err } = await run([], { isTTY: true, dialogue });
    assert.match(out, /\nembedder {2}resident {2}Wh…\n/);
    assert.match(err, /nobody was asked yet/);
    assert.match(out, /Decision 42, [\s\S]*its rule "which language" matches/);
    assert.match(out, / {2}\/load FILE +go on with a conversation/);
    assert.equal(service.asked.length, 1);
  });

  test('/save and /load keep a conversation, for its owner alone, and write over nothing of others', async () => {
    const [path, other] = [join(folder, 'talk.json'), join(folder, 'other.json')];
    writeFileSync(other, '{"model": 1}');
    const first = await talk([
      'write',
      `/save ${path}`,
      'write',
      `/save ${path}`,
      `/save ${other}`,
      `/load ${other}`,
      '/save',
    ]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(JSON.parse(readFileSync(path, 'utf8')).messages.length, 4);
    assert.equal(readFileSync(other, 'utf8'), '{"model": 1}');
    assert.match(
      first.err,
      /there is a .*other\.json already[\s\S]*is no chat that \/save wrote[\s\S]*which file\?/,
    );
    service.asked.length = 0;
    await talk([`/load ${path}`, 'write on']);
    assert.equal(messages(0).length, 5);
    assert.match((await talk([`/load ${join(folder, 'none')}`])).err, /cannot be read/);
  });
});
