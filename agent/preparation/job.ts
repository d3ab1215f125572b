/** What the agent and the process that prepares an expert say to each other. */
import type { Manifest } from '../catalog/manifest.ts';
import type { Decoder } from '../catalog/prepared.ts';

/** Each phase is a process of its own: its memory goes back for certain, and its death costs nothing else. */
export type Phase = 'tokenizer' | 'graph' | 'canary';

export interface Job {
  readonly phase: Phase;
  readonly manifest: Manifest;
  /** Absolute path of the package's folder. */
  readonly directory: string;
  /** Absolute path of the folder that is being made; it exists. */
  readonly target: string;
  /** What must be left on the disk when all is written. */
  readonly marginBytes: number;
  /** Of `canary`: whether the edits change no number. */
  readonly exact: boolean;
}

/** One thing that was done for an expert, or was not. */
export interface Step {
  readonly name: 'tokenizer' | 'graph' | 'last-position' | 'packing' | 'own-weights' | 'canary';
  readonly done: boolean;
  /** null where it was done. */
  readonly why: string | null;
}

export interface MadeFile {
  /** Relative to the folder. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** The file of the package that this one is a hard link of; null for one that was written. */
  readonly linkOf: string | null;
}

export interface Canary {
  /** Positions whose logits were compared. */
  readonly compared: number;
  /** Of these, those with another likeliest token. */
  readonly otherChoices: number;
  /** Largest difference of a logit, as a share of the largest logit: after several tokens at once, and after one. */
  readonly prefillDifference: number;
  readonly stepDifference: number;
  /** What was allowed; 0 where the edits change no number. */
  readonly tolerance: number;
  /** Most memory of the process, in bytes; null is "no data". */
  readonly peakBytes: number | null;
  /** What was seen of the copy, so that no load has to try it; null where it was not proved, or could not be seen. */
  readonly decoder: Decoder | null;
}

/** What comes of a phase. */
export type Outcome =
  | {
      readonly kind: 'made';
      readonly steps: readonly Step[];
      readonly files: readonly MadeFile[];
      /** Whether the numbers must be the same to the bit; only of `graph`. */
      readonly exact: boolean;
      readonly canary: Canary | null;
    }
  /** Try again another time: it was not the package's fault. */
  | { readonly kind: 'failed'; readonly why: string };

/** Names of the files in the folder. */
export const MODEL = 'model.onnx';
export const DATA = 'model.onnx_data';
export const TOKENIZER = 'tokenizer.flat';
export const RECORD = 'prepared.json';
