import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { AgentError } from '../../../agent/errors.ts';
import { PacketGuard, type Skipped } from '../../../agent/fleet/session/packet-guard.ts';

const MOST_BYTES = 64;

const messages = fc.array(
  fc.record({
    topic: fc.stringMatching(/^[a-z/é]{1,20}$/),
    payload: fc.uint8Array({ maxLength: 400 }),
    qos: fc.constantFrom(0 as const, 1 as const),
    messageId: fc.integer({ min: 1, max: 65_535 }),
  }),
  { maxLength: 12 },
);

function packetOf({
  topic,
  payload,
  qos,
  messageId,
}: {
  topic: string;
  payload: Uint8Array;
  qos: 0 | 1;
  messageId: number;
}) {
  return mqttPacket.generate({
    cmd: 'publish',
    topic,
    payload: Buffer.from(payload),
    qos,
    messageId,
    dup: false,
    retain: false,
  });
}

/** Cuts `bytes` at the places that `cuts` (0 to 1) name. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [
    0,
    ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b),
    bytes.length,
  ];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

test('however the stream is cut: small packets pass unchanged, large ones are named and nothing of them passes', () => {
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 });
  fc.assert(
    fc.property(messages, cuts, (list, places) => {
      const packets = list.map((message) => ({ message, bytes: packetOf(message) }));
      const skipped: Skipped[] = [];
      const guard = new PacketGuard(MOST_BYTES, (one) => skipped.push(one));
      const stream = Buffer.concat(packets.map(({ bytes }) => bytes));
      const passed = pieces(stream, places).flatMap((piece) => guard.pass(piece));
      const [small, large] = [
        packets.filter(({ bytes }) => bytes.length <= MOST_BYTES),
        packets.filter(({ bytes }) => bytes.length > MOST_BYTES),
      ];
      assert.deepEqual(Buffer.concat(passed), Buffer.concat(small.map(({ bytes }) => bytes)));
      assert.deepEqual(
        skipped,
        large.map(({ message: { topic, qos, messageId }, bytes }) => ({
          topic,
          bytes: bytes.length,
          messageId: qos === 1 ? messageId : null,
        })),
      );
    }),
    { numRuns: 300 },
  );
});

test('whatever comes: it passes, or it is refused by an AgentError; more than came never passes', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (chunks) => {
      const guard = new PacketGuard(MOST_BYTES, () => undefined);
      let [inBytes, outBytes] = [0, 0];
      for (const chunk of chunks) {
        inBytes += chunk.length;
        try {
          for (const part of guard.pass(Buffer.from(chunk))) outBytes += part.length;
        } catch (error) {
          assert.ok(error instanceof AgentError && error.code === 'protocol_broken', String(error));
          return;
        }
        assert.ok(outBytes <= inBytes);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('a length of five bytes, a large packet that is no message, one at QoS 2: refused', () => {
  for (const bytes of [
    [0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
    [0x90, 0xff, 0xff, 0x03],
    [0x34, 0xff, 0xff, 0x03],
  ])
    assert.throws(() => new PacketGuard(MOST_BYTES, () => undefined).pass(Buffer.from(bytes)), AgentError);
});

test('a large message that ends within its topic is refused', () => {
  const guard = new PacketGuard(MOST_BYTES, () => undefined);
  const body = Buffer.alloc(100, 0xff);
  assert.throws(() => guard.pass(Buffer.concat([Buffer.of(0x32, 100), body])), /shorter than its own topic/);
});
