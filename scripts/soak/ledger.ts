/** What the agent believes about memory, beside the truth, at a moment when nothing happens. */
import type { StateView } from '../../agent/service.ts';
import { treeMemory } from './process-tree.ts';
import type { SoakedAgent } from './soaked-agent.ts';

export interface LedgerSample {
  readonly swaps: number;
  readonly truthBytes: number;
  /** What the agent measured last, of itself and its cells. */
  readonly measuredBytes: number | null;
  /** What the ledger knows its cells to hold: base, profiles, what is kept or stays parked; null: it does not tell. */
  readonly expectedBytes: number | null;
  /** What counts against the budget: that, and room for keys and values that are not there yet. */
  readonly chargedBytes: number;
  readonly fileBytes: number | null;
  /** By the agent's cell: what it holds, and the truth about it. */
  readonly cells: readonly {
    readonly id: string;
    readonly experts: number;
    readonly truthBytes: number;
    readonly expectedBytes: number | null;
    readonly chargedBytes: number;
  }[];
}

type CellView = StateView['cells'][number];

/** null where something happened meanwhile: the two would be of different moments. */
export async function compare(agent: SoakedAgent, swaps: number): Promise<LedgerSample | null> {
  const before = await agent.state();
  const truth = treeMemory(agent.pid);
  const after = await agent.state();
  if (before.log.lastSequence !== after.log.lastSequence || after.running + after.waiting > 0) return null;
  const cells = after.cells.map((cell) => ({
    id: cell.id,
    experts: cell.experts.length,
    truthBytes: truth.byPid.get(cell.pid ?? -1) ?? 0,
    expectedBytes: told(cell, 'expectedBytes'),
    chargedBytes: cell.bytes,
  }));
  const sum = (field: string): number | null => sumOf(after.cells.map((cell) => told(cell, field)));
  const expectedBytes = sum('expectedBytes');
  return {
    swaps,
    truthBytes: truth.pssBytes,
    measuredBytes: after.measuredBytes,
    expectedBytes: expectedBytes === null ? null : expectedBytes + (after.agentBytes ?? 0),
    chargedBytes: after.committedBytes,
    fileBytes: sum('fileBytes'),
    cells,
  };
}

/** |believed - truth| as a share of the truth, of the samples that tell. */
export function errorsOf(
  samples: readonly LedgerSample[],
  field: 'measuredBytes' | 'expectedBytes' | 'chargedBytes',
): number[] {
  return samples.flatMap((sample) => {
    const believed = sample[field];
    return believed === null ? [] : [Math.abs(believed - sample.truthBytes) / sample.truthBytes];
  });
}

/** A number that older agents do not tell. */
function told(cell: CellView, field: string): number | null {
  const value: unknown = Reflect.get(cell, field);
  return typeof value === 'number' ? value : null;
}

function sumOf(values: readonly (number | null)[]): number | null {
  return values.reduce(
    (sum: number | null, value) => (sum === null || value === null ? null : sum + value),
    0,
  );
}
