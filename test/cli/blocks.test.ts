/** Messages of several lines, and text that must not steer a terminal: properties over any text. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Blocks } from '../../agent/cli/blocks.ts';
import { visible } from '../../agent/cli/visible.ts';

const line = fc.string({ unit: 'grapheme' }).filter((text) => !/["\r\n]/.test(text) && text !== '');

describe('blocks', () => {
  test('what stands between the quotes is the message, line by line or at once', () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1 }), (lines) => {
        const [slow, fast] = [new Blocks(), new Blocks()];
        const whole = ['"""', ...lines, '"""'];
        const told = whole.map((one) => slow.take(one));
        assert.deepEqual(told, [...whole.slice(0, -1).map(() => null), lines.join('\n')]);
        assert.equal(fast.take(whole.join('\n')), lines.join('\n'));
        assert.deepEqual([slow.isOpen, fast.isOpen], [false, false]);
      }),
    );
  });

  test('without quotes a text is what it is, and one block leaves nothing to the next', () => {
    const blocks = new Blocks();
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.join('\n');
        assert.equal(blocks.take(text), text);
        assert.equal(blocks.take('"""one"""'), 'one');
        assert.equal(blocks.take('"""'), null);
        assert.equal(blocks.take('  '), null);
        assert.equal(blocks.drop(), '  ');
        assert.equal(blocks.drop(), null);
      }),
    );
  });

  test('what is pasted behind a block belongs to it; an empty one is empty', () => {
    assert.equal(new Blocks().take('"""\na\n"""\nb\n"c"'), 'a\nb\n"c"');
    assert.equal(new Blocks().take('""""""'), '');
    assert.equal(new Blocks().take('"""\n\n"""'), '');
  });
});

test('no text steers a terminal, and plain text stays as it is', () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const steering = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = visible(text);
      assert.doesNotMatch(shown, steering);
      assert.equal(visible(shown), shown);
      if (!/[\u200e\u200f\u061c]/.test(text) && !steering.test(text)) assert.equal(shown, text);
    }),
  );
  assert.equal(visible('a\r\nb\tc\u001b[31m'), 'a\nb\tc␛[31m');
});
