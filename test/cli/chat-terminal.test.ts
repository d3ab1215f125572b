/** `expertd chat` at a real terminal, which `script` of util-linux makes: keys go in, and what comes out is waited for. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { HttpServer } from '../../agent/http/server.ts';
import { FakeService } from '../fakes/service.ts';
import { LOCAL } from '../http/harness.ts';

const MAIN = join(import.meta.dirname, '../../agent/main.ts');
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const skip =
  spawnSync('script', ['--version']).status === 0
    ? false
    : 'script (util-linux) is not installed: no terminal';

let service: FakeService;
let server: HttpServer;
let url: string;
before(async () => {
  service = new FakeService();
  server = new HttpServer(service, LOCAL, { error() {} });
  url = await server.start();
});
after(() => server.stop(1_000));

/** A chat in a terminal of its own. */
class Screen {
  readonly #child: ChildProcess;
  #text = '';
  #onText: () => void = () => {};

  constructor() {
    // A shell in between would take the first Ctrl-C for its own end.
    const command = `exec '${process.execPath}' --disable-warning=ExperimentalWarning '${MAIN}' chat --url ${url}`;
    this.#child = spawn('script', ['-qefc', command, '/dev/null'], {
      env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm', NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.on('exit', () => this.#onText());
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text;
      this.#onText();
    });
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Waits until this has come, and takes it and all before it off. */
  async until(what: string): Promise<string> {
    for (;;) {
      const at = this.#text.indexOf(what);
      if (at >= 0) {
        const before = this.#text.slice(0, at + what.length);
        this.#text = this.#text.slice(at + what.length);
        return before;
      }
      if (this.#child.exitCode !== null)
        assert.fail(`it ended without "${what}": ${JSON.stringify(this.#text)}`);
      await new Promise<void>((resolve) => {
        this.#onText = resolve;
      });
    }
  }

  async exit(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function lastAsked(): string | undefined {
  const ask = service.asked.at(-1)?.ask;
  return ask?.kind === 'chat' ? ask.messages.at(-1)?.content : undefined;
}

test('Ctrl-C ends an answer; pastes are one message; Ctrl-C twice, or Ctrl-D, ends the chat', {
  skip,
  timeout: 60_000,
}, async () => {
  const prompt = '> ';
  const screen = new Screen();
  try {
    await screen.until(prompt);
    service.betweenPieces = async (index, signal) => {
      if (index === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    screen.type('write\r');
    await screen.until('Hello ');
    screen.type(CTRL_C);
    await screen.until('(ended)');
    service.betweenPieces = async () => {};
    await screen.until(prompt);

    screen.type('\u001b[200~write\nthe second\nthe third\u001b[201~');
    await screen.until('the third');
    screen.type('\r');
    await screen.until('Hello you');
    assert.equal(lastAsked(), 'write\nthe second\nthe third');
    await screen.until(prompt);

    screen.type('write without marks\nand more');
    await screen.until('and more');
    screen.type('\r');
    await screen.until('Hello you');
    assert.equal(lastAsked(), 'write without marks\nand more');
    await screen.until(prompt);

    screen.type('never mind');
    await screen.until('never mind');
    screen.type(CTRL_C);
    await screen.until(prompt);
    screen.type(CTRL_C);
    await screen.until('Ctrl-C again');
    await screen.until(prompt);
    screen.type(CTRL_C);
    assert.equal(await screen.exit(), 0);
    assert.equal(service.asked.length, 3);
  } finally {
    screen.kill();
  }
});

test('Ctrl-D ends it, and the terminal is left as it was', { skip, timeout: 60_000 }, async () => {
  const screen = new Screen();
  try {
    assert.match(await screen.until('> '), /\[\?2004h/);
    screen.type(CTRL_D);
    await screen.until('[?2004l');
    assert.equal(await screen.exit(), 0);
  } finally {
    screen.kill();
  }
});
