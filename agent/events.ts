/** What happens, as `decide` is told: words of types.ts that fill a file of their own. No code. */
import type { Sample } from './device.ts';
import type { Canary, Progress } from './rollout.ts';
import type { CellId, ExpertId, Failure, LeaseId, RequestId } from './terms.ts';
import type { PolicyNames, Settings } from './tuning.ts';
import type { Expert, Features, Pending, Want } from './types.ts';

export type Event = { readonly atMs: number } & (
  | { readonly type: 'configured'; readonly settings: Settings; readonly policies: PolicyNames }
  | { readonly type: 'installed'; readonly expert: Expert }
  | { readonly type: 'removed'; readonly expert: ExpertId }
  /** A new version of the expert `of` is on the disk beside the one that is in use, under an id of its own. */
  | {
      readonly type: 'staged';
      readonly expert: Expert;
      readonly of: ExpertId;
      readonly canary: Canary | null;
      readonly progress: Progress;
    }
  /** The version that is wanted was rolled back before, and is not tried again. */
  | {
      readonly type: 'rolledBack';
      readonly expert: ExpertId;
      readonly version: string;
      readonly why: Failure;
    }
  /** A candidate was asked for its golden answers; null: nothing speaks against it. */
  | {
      readonly type: 'tested';
      readonly lease: LeaseId;
      readonly expert: ExpertId;
      readonly error: Failure | null;
      /** How many it gave, and how many nobody could judge. */
      readonly given: number;
      readonly unjudged: number;
    }
  | { readonly type: 'pending'; readonly expert: ExpertId; readonly pending: Pending }
  | {
      readonly type: 'learned';
      readonly lease: LeaseId;
      readonly expert: ExpertId;
      readonly prototypes: readonly Int8Array[] | null;
      readonly error: Failure | null;
    }
  | {
      readonly type: 'request';
      readonly request: RequestId;
      readonly want: Want;
      readonly model: ExpertId | null;
      readonly features: Features;
      readonly waitMs: number | null;
      /** See `Entry`. */
      readonly keepAliveMs: number | null;
    }
  | {
      readonly type: 'features';
      readonly request: RequestId;
      /** null: the embedder left before it could be asked (step `route`). */
      readonly lease: LeaseId | null;
      readonly embedding: Int8Array | null;
      /** null: nobody looked, or nobody could say. */
      readonly language: string | null;
      readonly error: Failure | null;
    }
  | { readonly type: 'hungUp'; readonly request: RequestId }
  | { readonly type: 'released'; readonly lease: LeaseId; readonly outcome: Outcome }
  | { readonly type: 'loaded'; readonly expert: ExpertId; readonly cell: CellId; readonly report: LoadReport }
  | { readonly type: 'loadFailed'; readonly expert: ExpertId; readonly cell: CellId; readonly error: Failure }
  | {
      readonly type: 'unloaded';
      readonly expert: ExpertId;
      readonly cell: CellId;
      readonly cellBytes: number | null;
    }
  | {
      readonly type: 'parked';
      readonly expert: ExpertId;
      readonly cell: CellId;
      readonly cellBytes: number | null;
      /** null is "no data". */
      readonly weights: ParkedWeights | null;
    }
  /** How much of a parked expert comes from the disk if it is asked now. */
  | {
      readonly type: 'cached';
      readonly expert: ExpertId;
      readonly cell: CellId;
      readonly coldBytes: number;
    }
  /** Which experts were asked for one after the other, before this process began. */
  | { readonly type: 'remembered'; readonly sequence: readonly ExpertId[] }
  | { readonly type: 'parkFailed'; readonly expert: ExpertId; readonly cell: CellId; readonly error: Failure }
  | {
      readonly type: 'trimmed';
      readonly expert: ExpertId;
      readonly cell: CellId;
      readonly cellBytes: number | null;
    }
  | {
      readonly type: 'unloadFailed';
      readonly expert: ExpertId;
      readonly cell: CellId;
      readonly error: Failure;
    }
  | {
      readonly type: 'cellExited';
      readonly cell: CellId;
      readonly cause: string;
      /** The kernel killed it for want of memory. */
      readonly oomKilled: boolean;
      readonly answered: readonly RequestId[];
    }
  | { readonly type: 'sample'; readonly sample: Sample }
  | {
      readonly type: 'command';
      readonly command: 'load' | 'park' | 'unload' | 'pin' | 'unpin' | 'clear';
      readonly expert: ExpertId;
    }
  /** What the fleet ordered, and what became of it: it changes nothing by itself. */
  | {
      readonly type: 'ordered';
      readonly order: string;
      readonly what: string;
      readonly state: string;
      readonly why: string | null;
    }
  | { readonly type: 'tick' }
);

/** Weights that can leave memory, and what of them is still there. */
export interface ParkedWeights {
  readonly bytes: number;
  readonly keptBytes: number;
}

export interface LoadReport {
  /** PSS of the cell before and after, and its highest RSS in between less the RSS before; null is "no data". */
  readonly beforeBytes: number | null;
  readonly afterBytes: number | null;
  readonly peakBytes: number | null;
  readonly loadMs: number;
}

/** How a lease ended. */
export interface Outcome {
  readonly ok: boolean;
  readonly error: Failure | null;
  /** Time of each stage in ms: `queue`, `tokenize`, `run`, `total`. */
  readonly stages: Readonly<Record<string, number>>;
  /** See `Entry`; null: nobody said, so it is what it was. */
  readonly keptBytes: number | null;
  /** Sources that a `retrieve` found: with none its answer is final. */
  readonly sources: number;
}
