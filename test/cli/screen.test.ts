/** What `expertd top` shows, without a terminal. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { frame, type Shown, type TopDecision } from '../../agent/cli/screen.ts';
import { expertView, FakeService } from '../fakes/service.ts';

const MB = 1_048_576;
const plain = (_code: number, text: string): string => text;

function decision(id: number, reason: string): TopDecision {
  return { id, atMs: 1_700_000_000_000, event: 'loaded', reasons: [reason], choice: null, steps: [] };
}

describe('a frame', () => {
  const shown = (): Shown => {
    const { stateView, healthView, expertList } = new FakeService();
    return {
      state: { ...stateView, health: healthView, experts: expertList },
      decisions: [],
      corner: 'live',
    };
  };

  test('fits into any room, whatever the texts', () => {
    const text = fc.string({ unit: 'binary', maxLength: 120 });
    const size = fc.integer({ min: 0, max: 400 * MB });
    fc.assert(
      fc.property(
        fc.record({ columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 60 }) }),
        fc.array(fc.record({ id: text, loading: fc.boolean() }), { maxLength: 30 }),
        fc.array(text, { maxLength: 40 }),
        fc.record({ budgetBytes: size, committedBytes: size, bytes: size }),
        (room, experts, reasons, sizes) => {
          const { state } = shown();
          const [cell] = state.cells;
          const views = experts.map(({ id, loading }) =>
            expertView(id, 'retrieval', loading ? { state: 'loading' } : { summary: id }),
          );
          const cells =
            cell === undefined ? [] : [{ ...cell, bytes: sizes.bytes, experts: experts.map(({ id }) => id) }];
          const decisions = reasons.map((reason, id) => decision(id, reason));
          const busy = { ...state, ...sizes, cells, experts: views };
          const lines = frame({ state: busy, decisions, corner: 'live' }, room, plain);
          assert.ok(lines.length <= room.rows, `${lines.length} rows`);
          for (const line of lines) {
            assert.ok(
              [...line].length <= Math.max(3, room.columns),
              `"${line}" is wider than ${room.columns}`,
            );
            // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
            assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/);
          }
        },
      ),
    );
  });

  test('says how many experts there is no room for', () => {
    const experts = Array.from({ length: 30 }, (_, index) => expertView(`e${index}`, 'retrieval'));
    const lines = frame(
      { ...shown(), state: { ...shown().state, experts } },
      { columns: 80, rows: 24 },
      plain,
    );
    const more = Number(/^and (\d+) more$/.exec(lines.find((line) => line.startsWith('and ')) ?? '')?.[1]);
    assert.equal(more + lines.filter((line) => /^e\d/.test(line)).length, 30);
  });

  test('shows heat and what is held back where the device tells of it', () => {
    const { state } = shown();
    const base = {
      rails: [],
      battery: null,
      onMains: null,
      cpuBusyShare: null,
      swap: null,
      zram: null,
      cgroup: null,
    };
    const pressure = { cpuSomeAvg10: null, ioSomeAvg10: null, ioFullAvg10: null };
    const none = { frequency: null, storageBytesPerSecond: null, pageBytes: null, pressure };
    const thermal = { zone: 'cpu-thermal', celsius: 81.4, slowCelsius: 80 };
    const throttle = { now: ['throttled'], seen: ['throttled'] } as const;
    const device = { ...base, ...none, thermal, throttle, watts: 6.25 };
    const lines = frame({ ...shown(), state: { ...state, device } }, { columns: 120, rows: 24 }, plain);
    assert.match(lines.find((line) => line.startsWith('device')) ?? '', /81\.4 C, throttled, 6\.3 W/);
  });

  test('says what was done where no reason was given', () => {
    const steps = [{ type: 'embed', expert: 'embedder', cell: 'fast-1' }, { type: 'route' }];
    const decisions = [{ ...decision(45, ''), event: 'request', reasons: [], steps }];
    const lines = frame({ ...shown(), decisions }, { columns: 120, rows: 24 }, plain);
    assert.match(lines.at(-1) ?? '', /45 .* request +embed embedder in fast-1; route/);
  });
});
