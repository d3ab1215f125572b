import assert from 'node:assert/strict';
import { Duplex, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { serialize } from 'node:v8';
import fc from 'fast-check';
import { Channel, encodeFrame, FrameReader } from '../../agent/cells/channel.ts';
import { AgentError } from '../../agent/errors.ts';

const message = fc.oneof(
  fc.string(),
  fc.double(),
  fc.float32Array({ noNaN: true }),
  fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.constant(null))),
);

/** The stream of some messages, cut at some places. */
function chunks(messages: readonly unknown[], cuts: readonly number[]): Buffer[] {
  const stream = Buffer.concat(messages.map((one) => encodeFrame(one)));
  const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return places.slice(1).map((end, index) => stream.subarray(places[index], end));
}

test('messages come out as they went in, however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.nat()), (messages, cuts) => {
      const reader = new FrameReader();
      const read = chunks(messages, cuts).flatMap((chunk) => [...reader.push(chunk)]);
      assert.deepEqual(read, structuredClone(messages));
    }),
  );
});

test('a typed array does not share the memory of the chunk it came in', () => {
  const chunk = encodeFrame({ vector: Float32Array.of(1, 2, 3) });
  const [read] = [...new FrameReader().push(chunk)] as [{ vector: Float32Array }];
  chunk.fill(0);
  assert.deepEqual([...read.vector], [1, 2, 3]);
});

test('a frame that announces too much is refused before it is read', () => {
  const reader = new FrameReader(100);
  assert.throws(() => [...reader.push(Buffer.from([0, 0, 0, 101]))], malformed);
  assert.equal([...new FrameReader(100).push(encodeFrame('x'.repeat(50)))].length, 1);
});

test('a message that is too large is refused where it is sent', () => {
  assert.throws(
    () => encodeFrame('x'.repeat(200), 100),
    (error) => error instanceof AgentError && error.code === 'too_large',
  );
});

test('any bytes are messages, an unfinished frame, or refused as malformed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, framed) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      const stream = framed ? Buffer.concat([length, bytes]) : Buffer.from(bytes);
      try {
        for (const one of new FrameReader().push(stream)) assert.ok(one !== undefined || framed);
      } catch (error) {
        assert.ok(malformed(error), String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('a channel hands over messages, then tells its end once', async () => {
  const { near, far } = pair();
  const seen: unknown[] = [];
  const closed = Promise.withResolvers<void>();
  new Channel(near, {
    onMessage: (one) => seen.push(one),
    onBroken: (error) => assert.fail(String(error)),
    onClosed: () => closed.resolve(),
  });
  far.write(encodeFrame('one'));
  far.end(encodeFrame({ two: 2 }));
  await closed.promise;
  assert.deepEqual(seen, ['one', { two: 2 }]);
});

test('a damaged frame breaks the channel and nothing after it is read', async () => {
  const { near, far } = pair();
  const seen: unknown[] = [];
  const broken = Promise.withResolvers<unknown>();
  const channel = new Channel(near, {
    onMessage: (one) => seen.push(one),
    onBroken: broken.resolve,
    onClosed: () => {},
  });
  const body = serialize('x');
  body[0] = 0;
  far.write(
    Buffer.concat([encodeFrame('good'), Buffer.from([0, 0, 0, body.length]), body, encodeFrame('late')]),
  );
  assert.ok(malformed(await broken.promise));
  assert.deepEqual(seen, ['good']);
  channel.send('to nobody');
});

function pair(): { near: Duplex; far: PassThrough } {
  const far = new PassThrough();
  return { near: Duplex.from({ readable: far, writable: new PassThrough().resume() }), far };
}

function malformed(error: unknown): boolean {
  return error instanceof AgentError && error.code === 'malformed';
}
