/** `expertd top` at a terminal that the tests hold, against a server over the fake service. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { dispatch } from '../../agent/cli/dispatch.ts';
import type { Io, Terminal } from '../../agent/cli/io.ts';
import type { TopState } from '../../agent/cli/screen.ts';
import { INTERRUPT } from '../../agent/cli/terminal.ts';
import { top } from '../../agent/cli/top.ts';
import { HttpServer } from '../../agent/http/server.ts';
import { FakeService } from '../fakes/service.ts';
import { LOCAL } from '../http/harness.ts';

const MB = 1_048_576;
const sequence = '\u001b[';

/** A screen that understands what `top` sends: go to a row, erase it, write. */
class Screen implements Terminal {
  columns = 80;
  rows = 24;
  lines: string[] = [];
  sent = '';
  taken = false;
  #handlers: { onKey: (key: string) => void; onResize: () => void } | null = null;

  size() {
    return { columns: this.columns, rows: this.rows };
  }

  take(handlers: { onKey: (key: string) => void; onResize: () => void }): () => void {
    this.#handlers = handlers;
    this.taken = true;
    return () => {
      this.#handlers = null;
      this.taken = false;
    };
  }

  press(key: string): void {
    this.#handlers?.onKey(key);
  }

  resize(columns: number, rows: number): void {
    [this.columns, this.rows, this.lines] = [columns, rows, []];
    this.#handlers?.onResize();
  }

  write(text: string): void {
    this.sent += text;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
    for (const [, row, line] of text.matchAll(/\u001b\[(\d+);1H\u001b\[K([^\u001b]*)/g)) {
      this.lines[Number(row) - 1] = line ?? '';
    }
  }

  get text(): string {
    return this.lines.join('\n');
  }

  async until(pattern: RegExp): Promise<void> {
    for (const endMs = Date.now() + 5_000; !pattern.test(this.text); ) {
      assert.ok(Date.now() < endMs, `${pattern} does not come:\n${this.text}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

let directory: string;
let service: FakeService;
let server: HttpServer;
let screen: Screen;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'expertd-top-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));
beforeEach(async () => {
  service = new FakeService();
  screen = new Screen();
  await startServer();
});
afterEach(() => server.stop(500));

async function startServer(): Promise<void> {
  server = new HttpServer(service, LOCAL, { error() {} });
  const url = await server.start();
  writeFileSync(join(directory, 'agent.json'), JSON.stringify({ pid: process.pid, url }));
}

interface Run {
  readonly ended: Promise<number>;
  readonly out: () => string;
  readonly err: () => string;
}

function run(argv: readonly string[], change: Partial<Io> = {}): Run {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    stdin: (async function* () {})(),
    env: { EXPERTD_STATE_DIR: directory },
    isTTY: false,
    ...change,
  };
  const ended = dispatch(['top', ...argv], [top], '1.2.3', io);
  return { ended, out: () => out.join(''), err: () => err.join('') };
}

const live = (env: Io['env'] = {}) =>
  run([], {
    terminal: screen,
    stdout: screen,
    isTTY: true,
    env: { EXPERTD_STATE_DIR: directory, NO_COLOR: '1', ...env },
  });

const told = (id: number, reason: string) =>
  ({ id, atMs: Date.now(), event: 'loaded', reasons: [reason], choice: null, steps: [] }) as const;

describe('at a terminal', () => {
  test('shows the state and the last decisions, redraws as they change, and q quits', async () => {
    const { ended } = live();
    await screen.until(/44 .* lang-id, 87 %/);
    assert.match(screen.text, /^expertd 0\.0\.1, ready, up 1 min 5 s +live, q quits\n/);
    assert.match(
      screen.text,
      /memory {4}180\.0 MB of 300\.0 MB charged \(60 %\), measured 171\.0 MB, 120\.0 MB free/,
    );
    assert.match(
      screen.text,
      /\n\[#{26}={21}\.{31}\]\n# agent 100\.0 MB {3}= fast-1 \(embedder\) 80\.0 MB {3}\. free/,
    );
    assert.match(screen.text, /medical +resident, pinned +- +fast-1 +20\.0 MB +3/);
    service.tell(told(45, 'medical is resident'));
    await screen.until(/\n +45 .* medical is resident/);
    service.stateView = { ...service.stateView, committedBytes: 290 * MB };
    service.tell(told(46, 'more'));
    await screen.until(/290\.0 MB of 300\.0 MB/);
    assert.ok(screen.taken);
    screen.press('x');
    screen.press('q');
    assert.equal(await ended, 0);
    assert.equal(screen.taken, false);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
    assert.doesNotMatch(screen.sent, /\u001b\[\d+m/, 'NO_COLOR is kept');
  });

  test('sends only lines that changed', async () => {
    const { ended } = live();
    await screen.until(/44 .* lang-id/);
    screen.sent = '';
    service.tell(told(45, 'medical is resident'));
    await screen.until(/45 .* medical is resident/);
    assert.doesNotMatch(screen.sent, /EXPERT +STATE/);
    screen.press(INTERRUPT);
    assert.equal(await ended, 0);
  });

  test('fits itself to another size', async () => {
    const { ended } = live();
    await screen.until(/44 .* lang-id/);
    screen.resize(40, 12);
    await screen.until(/^expertd/);
    assert.equal(screen.lines.length, 12);
    assert.ok(screen.lines.every((line) => line.length <= 40));
    screen.press('q');
    await ended;
  });

  test('has colours where they are wanted', async () => {
    const { ended } = live({ NO_COLOR: '' });
    for (const endMs = Date.now() + 5_000; !screen.sent.includes(`${sequence}36m=`); ) {
      assert.ok(Date.now() < endMs, screen.sent);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    screen.press('q');
    await ended;
  });

  test('waits for an agent that went away, and goes on with the next one', async () => {
    const { ended } = live();
    await screen.until(/live, q quits/);
    await server.stop(500);
    await screen.until(/the agent has ended, q quits/);
    service.healthView = { ...service.healthView, version: '0.0.2' };
    await startServer();
    await screen.until(/^expertd 0\.0\.2.*live/);
    screen.press('q');
    assert.equal(await ended, 0);
  });

  test('does not take the screen where no agent runs', async () => {
    const { ended, err } = run([], {
      terminal: screen,
      isTTY: true,
      env: { XDG_STATE_HOME: '/nonexistent' },
    });
    assert.equal(await ended, 3);
    assert.match(err(), /no agent is running/);
    assert.equal(screen.sent, '');
  });
});

describe('elsewhere', () => {
  test('it is one picture', async () => {
    for (const argv of [[], ['--once']]) {
      const { ended, out } = run(argv);
      assert.equal(await ended, 0);
      assert.match(out(), /^expertd 0\.0\.1, ready.*\n\nmemory .*\n/);
      assert.match(out(), /writer +absent/);
      assert.match(out(), /42 +\d\d:\d\d:\d\d +lang-id, 87 %/);
      assert.ok(!out().includes(sequence));
    }
  });

  test('--once --json is the state', async () => {
    const { ended, out } = run(['--once', '--json']);
    assert.equal(await ended, 0);
    const state = JSON.parse(out()) as TopState;
    assert.deepEqual([state.budgetBytes, state.experts.length, state.health.ready], [300 * MB, 4, true]);
  });

  test('--json is a line an event, until the agent ends', async () => {
    const { ended, out } = run(['--json']);
    for (const endMs = Date.now() + 5_000; !out().includes('"event":"state"'); ) {
      assert.ok(Date.now() < endMs, out());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    service.tell(told(45, 'medical is resident'));
    for (const endMs = Date.now() + 5_000; !out().includes('"event":"decision"'); ) {
      assert.ok(Date.now() < endMs, out());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await server.stop(500);
    assert.equal(await ended, 0);
    const lines = out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ event, id }) => [event, id]),
      [
        ['state', undefined],
        ['decision', 45],
      ],
    );
  });

  test('words are refused', async () => {
    const { ended, err } = run(['medical']);
    assert.equal(await ended, 2);
    assert.match(err(), /top takes no arguments: "medical"/);
  });
});
