import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../agent/errors.ts';
import { type LoggingOptions, openLogger } from '../agent/logging.ts';

function logged(options: Partial<LoggingOptions> = {}) {
  const lines: string[] = [];
  const log = openLogger({
    level: 'trace',
    isTTY: false,
    toJournal: false,
    write: (line) => void lines.push(line),
    ...options,
  });
  return { log, lines };
}

test('a line is JSON with a level of syslog, and ends with itself', () => {
  const { log, lines } = logged();
  log.warn({ cell: 'fast-1' }, 'two\nlines');
  const [line = ''] = lines;
  assert.ok(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1);
  const { level, time, cell, msg } = JSON.parse(line) as Record<string, string>;
  assert.deepEqual([level, cell, msg], ['warning', 'fast-1', 'two\nlines']);
  assert.ok(Math.abs(Date.parse(time ?? '') - Date.now()) < 60_000);
});

test('for the journal each line begins with its priority', () => {
  const { log, lines } = logged({ toJournal: true });
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level]({}, 'x');
  assert.deepEqual(
    lines.map((line) => line.slice(0, 3)),
    ['<7>', '<7>', '<6>', '<4>', '<3>', '<2>'],
  );
});

test('what is below the level is not written, and the level can change', () => {
  const { log, lines } = logged({ level: 'warn' });
  log.info({}, 'quiet');
  log.level = 'debug';
  log.debug({}, 'heard');
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /heard/);
});

test('a terminal gets plain lines, and no command that came in from elsewhere', () => {
  const { log, lines } = logged({ isTTY: true });
  log.warn({ cell: 'fast-1', line: 'red \u001b[31m \u009b2J\nnew' }, 'a cell printed');
  const [line = ''] = lines;
  assert.match(line, /^\d\d:\d\d:\d\d warning a cell printed cell=fast-1 line=red /);
  assert.ok(!/\p{Cc}/u.test(line.slice(0, -1)), JSON.stringify(line));
  assert.match(line, /\\x1b\[31m \\x9b2J\\x0anew\n$/);
});

test('an error keeps its code, hint and cause', () => {
  const { log, lines } = logged();
  const cause = new Error('no such file');
  log.error({ err: new AgentError('bad_config', 'it is wrong', { hint: 'mend it', cause }) }, 'refused');
  assert.match(lines[0] ?? '', /"code":"bad_config".*"hint":"mend it"|"hint":"mend it".*"code":"bad_config"/);
  assert.match(lines[0] ?? '', /no such file/);
});

test('a token or a text that got into the details by mistake is not written', () => {
  const { log, lines } = logged();
  log.info({ token: 'canary', http: { token: 'canary' }, ask: { text: 'canary' }, text: 'canary' }, 'x');
  log.info({ authorization: 'canary', headers: { authorization: 'canary' } }, 'x');
  assert.ok(!lines.join('').includes('canary'), lines.join(''));
});
