/** The terminal of a process: taken, and given back as it was. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import { INTERRUPT, keysOf, openTerminal, type TerminalProcess } from '../../agent/cli/terminal.ts';

describe('the terminal of a process', () => {
  function fakeProcess(isTTY = true, env: Record<string, string> = {}) {
    const stdin = Object.assign(new EventEmitter(), {
      isTTY,
      raw: false,
      setRawMode(raw: boolean) {
        this.raw = raw;
        return this;
      },
      resume() {
        return this;
      },
      pause() {
        return this;
      },
    });
    const written: string[] = [];
    const stdout = Object.assign(new EventEmitter(), {
      isTTY,
      columns: 90,
      rows: 30,
      write: (text: string) => written.push(text),
    });
    const process = Object.assign(new EventEmitter(), { stdin, stdout, env });
    return { process, stdin, stdout, written, terminal: openTerminal(process as unknown as TerminalProcess) };
  }

  test('is taken and given back as it was', () => {
    const { process, stdin, stdout, written, terminal } = fakeProcess();
    assert.ok(terminal !== null);
    assert.deepEqual(terminal.size(), { columns: 90, rows: 30 });
    const keys: string[] = [];
    let resized = 0;
    const giveBack = terminal.take({ onKey: (key) => keys.push(key), onResize: () => resized++ });
    assert.ok(stdin.raw);
    stdin.emit('data', Buffer.from('a\u001b[Aq'));
    stdout.emit('resize');
    process.emit('SIGTERM');
    assert.deepEqual([keys, resized], [['a', '\u001b[A', 'q', INTERRUPT], 1]);
    giveBack();
    assert.equal(stdin.raw, false);
    for (const emitter of [process, stdin, stdout])
      assert.deepEqual(emitter.eventNames(), [], 'no listener is left');
    const text = written.join('');
    for (const mode of ['1049', '25', '7']) {
      const [hidden, shown] = mode === '1049' ? ['h', 'l'] : ['l', 'h'];
      assert.ok(text.indexOf(`[?${mode}${hidden}`) < text.lastIndexOf(`[?${mode}${shown}`), mode);
    }
  });

  test('is none where stdout goes elsewhere, or cannot be drawn on', () => {
    assert.equal(fakeProcess(false).terminal, null);
    assert.equal(fakeProcess(true, { TERM: 'dumb' }).terminal, null);
  });

  test('keys are told apart', () => {
    assert.deepEqual(keysOf('q\u001bOAé\u001b[1;5Cx\u001b'), [
      'q',
      '\u001bOA',
      'é',
      '\u001b[1;5C',
      'x',
      '\u001b',
    ]);
  });
});
