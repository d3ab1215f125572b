/** What `decide` wants done: words of types.ts that fill a file of their own. No code. */
import type { Progress } from './rollout.ts';
import type { CellId, ExpertId, Failure, Lane, LeaseId, RequestId } from './terms.ts';

export type Step =
  | {
      readonly type: 'embed';
      readonly request: RequestId;
      readonly lease: LeaseId;
      readonly expert: ExpertId;
      readonly cell: CellId;
      /** Names the language of the request in the same turn; null: nobody is there to do it. */
      readonly detector: ExpertId | null;
    }
  | {
      readonly type: 'learn';
      readonly subject: ExpertId;
      readonly lease: LeaseId;
      readonly expert: ExpertId;
      readonly cell: CellId;
    }
  | {
      readonly type: 'grant';
      readonly request: RequestId;
      readonly lease: LeaseId;
      readonly expert: ExpertId;
      readonly cell: CellId;
      readonly wasResident: boolean;
      /** `retrieve`: its answer is what `assistant`'s base will speak from. */
      readonly purpose: 'answer' | 'retrieve';
      /** The assistant whose words and sources go before the request; null: it goes as it came. */
      readonly assistant: ExpertId | null;
      /** In what way the answer is less than it could be. */
      readonly degraded: string | null;
      /** Another answers if this one fails: nothing goes out before it has ended, and its failure is told to nobody. */
      readonly revocable: boolean;
    }
  /** The candidate is asked for its golden answers. */
  | {
      readonly type: 'test';
      readonly lease: LeaseId;
      readonly expert: ExpertId;
      readonly cell: CellId;
      /** Lent beside it, for one that is asked with an embedding; null: it is not, or nobody is there to make one. */
      readonly embedder: { readonly lease: LeaseId; readonly expert: ExpertId; readonly cell: CellId } | null;
    }
  /** How far a rollout has come: it must outlive this process. */
  | {
      readonly type: 'rollout';
      readonly expert: ExpertId;
      readonly candidate: ExpertId;
      /** Of the candidate: another package of the same version may have come in its place. */
      readonly digest: string;
      readonly phase: 'probation' | 'committed' | 'rolledBack';
      readonly progress: Progress;
      readonly why: Failure | null;
    }
  /** The expert is in memory, which is all that was asked. */
  | { readonly type: 'ready'; readonly request: RequestId; readonly expert: ExpertId }
  /** The base does not speak: what the assistant found is the answer. */
  | {
      readonly type: 'fallback';
      readonly request: RequestId;
      readonly failure: Failure;
      readonly degraded: string;
    }
  | {
      readonly type: 'reject';
      readonly request: RequestId;
      readonly failure: Failure;
      readonly retryAfterMs: number | null;
      readonly loading: Loading | null;
    }
  | { readonly type: 'abstain'; readonly request: RequestId }
  /** The embedder is gone: choose by words, as a decision of its own. */
  | { readonly type: 'route'; readonly request: RequestId }
  | { readonly type: 'cancel'; readonly lease: LeaseId; readonly cell: CellId }
  | {
      readonly type: 'load';
      readonly expert: ExpertId;
      readonly cell: CellId;
      readonly lane: Lane;
      readonly fresh: boolean;
    }
  | { readonly type: 'unload'; readonly expert: ExpertId; readonly cell: CellId }
  /** The expert's weights leave memory, and its sessions stay. */
  | { readonly type: 'park'; readonly expert: ExpertId; readonly cell: CellId }
  /** What the expert keeps for later requests is given back; it stays in memory. */
  | { readonly type: 'trim'; readonly expert: ExpertId; readonly cell: CellId }
  /** The page cache forgets a parked expert, rather than one that will be needed sooner. */
  | { readonly type: 'chill'; readonly expert: ExpertId; readonly cell: CellId }
  /** A parked expert is read into the page cache. */
  | { readonly type: 'warm'; readonly expert: ExpertId; readonly cell: CellId }
  | { readonly type: 'stop'; readonly cell: CellId; readonly kill: boolean };

/** What a client that must come back is told. */
export interface Loading {
  readonly state: 'fetching' | 'loading' | 'waiting';
  readonly progress: number | null;
  readonly etaSeconds: number | null;
}
