/**
 * What the agent and a cell say to each other. Every call gets one answer with its number, except `cancel` and `stop`;
 * `ready` and `cached` are said unasked.
 */
import type { Manifest } from '../catalog/manifest.ts';
import type { Prepared } from '../catalog/prepared.ts';
import type { LoadReport } from '../events.ts';
import type { Piece } from '../generation.ts';
import type { Ask, Cached, Part, RunReport, Unloaded } from '../ports.ts';
import type { ExpertId, Failure, LeaseId } from '../types.ts';

/** To be raised with every change below: an agent must not talk to a cell of a newer executable. */
export const PROTOCOL = 5;
/** The end of the channel in the cell: the first file descriptor after stdin, stdout and stderr. */
export const CHANNEL_FD = 3;
/** Environment of a cell: a folder on a disk for the weights of parked experts. Without it nothing is parked. */
export const PARKING_FOLDER = 'EXPERTD_PARKING_FOLDER';

export type ToCell =
  /** See `Runtime.load`. */
  | {
      readonly type: 'load';
      readonly call: number;
      readonly expert: ExpertId;
      readonly directory: string;
      readonly manifest: Manifest;
      readonly prepared: Prepared | null;
      readonly cacheBytes: number;
    }
  /** See `Runtime.unload`. */
  | {
      readonly type: 'unload';
      readonly call: number;
      readonly expert: ExpertId;
      readonly part: Part;
    }
  | {
      readonly type: 'run';
      readonly call: number;
      readonly lease: LeaseId;
      readonly expert: ExpertId;
      readonly ask: Ask;
    }
  | { readonly type: 'cancel'; readonly lease: LeaseId }
  | { readonly type: 'stop' };

export type FromCell =
  | { readonly type: 'ready'; readonly protocol: number }
  | { readonly type: 'loaded'; readonly call: number; readonly report: LoadReport }
  | { readonly type: 'unloaded'; readonly call: number; readonly unloaded: Unloaded }
  /** Unasked: what is true now of a parked expert. */
  | { readonly type: 'cached'; readonly expert: ExpertId; readonly cached: Cached }
  | { readonly type: 'delta'; readonly call: number; readonly piece: Piece }
  | { readonly type: 'answered'; readonly call: number; readonly report: RunReport }
  | { readonly type: 'failed'; readonly call: number; readonly failure: Failure };
