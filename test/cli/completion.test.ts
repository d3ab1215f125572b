/** The scripts of `expertd completion`, in the shells that they are for. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { completionCommand } from '../../agent/cli/completion.ts';
import { clientCommands, dispatch } from '../../agent/cli/dispatch.ts';
import type { Command, Io } from '../../agent/cli/io.ts';
import { HttpServer } from '../../agent/http/server.ts';
import { startCommand } from '../../agent/start.ts';
import { NO_ADDITIONS } from '../fakes/additions.ts';
import { expertView, FakeService } from '../fakes/service.ts';
import { LOCAL } from '../http/harness.ts';

const none = () => Promise.reject(new Error('nothing is checked here'));
const CHECKS = { config: none, expert: none, device: none };
const others: readonly Command[] = [startCommand('1.2.3'), ...clientCommands(CHECKS, NO_ADDITIONS)];
const commands: readonly Command[] = [...others, completionCommand(others)];

let directory: string;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'expertd-completion-'));
  // Stands in for the program: all that a script asks of it is the list of experts.
  const program = join(directory, 'expertd');
  writeFileSync(
    program,
    '#!/bin/sh\n[ "$*" = "completion --experts" ] && printf "embedder\\nlang-id\\nmedical\\n"\n',
  );
  chmodSync(program, 0o755);
  mkdirSync(join(directory, 'files', 'a folder'), { recursive: true });
  writeFileSync(join(directory, 'files', 'edge.json'), '{}');
  for (const shell of ['bash', 'zsh', 'fish']) {
    writeFileSync(join(directory, `script.${shell}`), (await run(['completion', shell])).out);
  }
});
after(() => rmSync(directory, { recursive: true, force: true }));

async function run(argv: readonly string[], change: Partial<Io> = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    stdin: (async function* () {})(),
    env: { XDG_STATE_HOME: '/nonexistent' },
    isTTY: false,
    ...change,
  };
  const code = await dispatch(argv, commands, '1.2.3', io);
  return { code, out: out.join(''), err: err.join('') };
}

const isMissing = (program: string) => spawnSync(program, ['-c', 'true']).error !== undefined;

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${directory}:${process.env['PATH']}`, HOME: directory };
}

/** What every shell must offer: the words so far, the last of them being typed, and what comes, in part or in whole. */
const CASES: readonly { words: readonly string[]; offers: readonly string[]; not?: readonly string[] }[] = [
  { words: ['expertd', ''], offers: [...commands.map(({ name }) => name), 'help'], not: ['medical'] },
  { words: ['expertd', 'ex'], offers: ['experts', 'explain'], not: ['ask'] },
  { words: ['expertd', 'ask', '--m'], offers: ['--model', '--max-tokens'], not: ['--json'] },
  { words: ['expertd', 'ask', '--model', ''], offers: ['auto', 'embedder', 'lang-id', 'medical'] },
  { words: ['expertd', 'decisions', '--expert', 'me'], offers: ['medical'], not: ['auto', 'embedder'] },
  { words: ['expertd', 'experts', ''], offers: ['load', 'unload', 'pin', 'unpin', 'clear', 'medical'] },
  { words: ['expertd', 'experts', 'pin', 'l'], offers: ['lang-id', 'load'], not: ['medical'] },
  { words: ['expertd', 'completion', ''], offers: ['bash', 'zsh', 'fish'] },
  { words: ['expertd', 'help', 'st'], offers: ['start', 'status'], not: ['ask'] },
  { words: ['expertd', 'top', '--'], offers: ['--once', '--json', '--url', '--help'] },
  { words: ['expertd', 'check', 'edge'], offers: ['edge.json'] },
];

function checkShell(shell: string, complete: (words: readonly string[]) => readonly string[]): void {
  for (const { words, offers, not = [] } of CASES) {
    const offered = complete(words);
    const line = `${shell}: ${words.join(' ')}: ${offered.join(' ')}`;
    for (const word of offers) assert.ok(offered.includes(word), `${word} is not offered: ${line}`);
    for (const word of not) assert.ok(!offered.includes(word), `${word} is offered: ${line}`);
  }
}

describe('bash', () => {
  function complete(words: readonly string[]): readonly string[] {
    const list = words.map((word) => `'${word}'`).join(' ');
    const script = `source ${directory}/script.bash
      COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}
      _expertd; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const options = { encoding: 'utf8', env: environment(), cwd: join(directory, 'files') } as const;
    return execFileSync('bash', ['--norc', '-uc', script], options).trimEnd().split('\n');
  }

  test('completes commands, flags, values and experts', (t: TestContext) => {
    if (isMissing('bash')) return t.skip('bash is not installed');
    checkShell('bash', complete);
  });

  test('completes what follows an equals sign, and paths with spaces', (t: TestContext) => {
    if (isMissing('bash')) return t.skip('bash is not installed');
    assert.deepEqual(complete(['expertd', 'ask', '--model', '=', 'med']), ['medical']);
    assert.ok(complete(['expertd', 'ask', '--model', '=']).includes('auto'));
    assert.deepEqual(complete(['expertd', 'start', '--state-dir', 'a']), ['a folder']);
    assert.deepEqual(complete(['expertd', 'start', '--config', 'e']), ['edge.json']);
    assert.deepEqual(complete(['expertd', 'start', '--port', '8']), ['']);
  });

  test('is silent where no program answers', (t: TestContext) => {
    if (isMissing('bash')) return t.skip('bash is not installed');
    assert.deepEqual(complete(['/nonexistent/expertd', 'ask', '--model', '']), ['auto']);
  });
});

test('zsh completes commands, flags, values and experts', (t: TestContext) => {
  if (isMissing('zsh')) return t.skip('zsh is not installed');
  checkShell('zsh', (words) => {
    // Its completion needs a terminal: these stand in for its builtins, and print what would be offered.
    const script = `
      offer() { for word in "$@"; do [[ $word == "$PREFIX"* ]] && print -r -- "$word"; done; true }
      compadd() { [[ $1 == -- ]] && shift; offer "$@" }
      _describe() { offer "\${(@)commands%%:*}" }
      _files() { offer * }
      compdef() { true }
      source ${directory}/script.zsh
      words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}; PREFIX="\${words[CURRENT]}"
      _expertd`;
    const options = { encoding: 'utf8', env: environment(), cwd: join(directory, 'files') } as const;
    return execFileSync('zsh', ['-fc', script], options).trimEnd().split('\n');
  });
});

test('fish completes commands, flags, values and experts', (t: TestContext) => {
  if (isMissing('fish')) return t.skip('fish is not installed');
  checkShell('fish', (words) => {
    const script = `source ${directory}/script.fish; complete -C '${words.join(' ')}'`;
    const options = { encoding: 'utf8', env: environment(), cwd: join(directory, 'files') } as const;
    const lines = execFileSync('fish', ['--no-config', '-c', script], options).trimEnd().split('\n');
    return lines.map((line) => line.split('\t')[0] ?? '');
  });
});

describe('the hidden call', () => {
  test('lists the experts of the running agent', async () => {
    const service = new FakeService();
    service.expertList = [expertView('medical', 'retrieval'), expertView('$(touch x)', 'retrieval')];
    const server = new HttpServer(service, LOCAL, { error() {} });
    const url = await server.start();
    try {
      const { code, out } = await run(['completion', '--experts', '--url', url]);
      assert.deepEqual([code, out], [0, 'medical\n'], 'what a shell would expand is left out');
    } finally {
      await server.stop(500);
    }
  });

  test('says nothing where there is none', async () => {
    assert.deepEqual(await run(['completion', '--experts']), { code: 0, out: '', err: '' });
  });
});

test('another shell is refused', async () => {
  for (const argv of [['completion'], ['completion', 'tcsh'], ['completion', 'bash', 'zsh']]) {
    const { code, err } = await run(argv);
    assert.equal(code, 2);
    assert.match(err, /There are: bash, zsh, fish/);
  }
});

test('every command completes the flags that its help names, and no others', () => {
  for (const { name, usage, flags = {} } of commands.flatMap((one) => one.commands ?? [one])) {
    const named = [...usage.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, flag]) => flag);
    assert.deepEqual(Object.keys(flags).sort(), named.sort(), name);
  }
});
