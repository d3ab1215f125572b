/**
 * What runs inside a cell for one expert. A task is built from an installed package and answers asks; it owns its
 * ONNX Runtime sessions and nothing else. The tasks live in `tasks/`, one file each.
 */
import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../catalog/manifest.ts';
import type { Prepared } from '../catalog/prepared.ts';
import type { Piece } from '../generation.ts';
import type { Answer, Ask } from '../ports.ts';

export interface TaskContext {
  readonly manifest: Manifest;
  /** Absolute path of the package's folder. */
  readonly directory: string;
  /** What was made from the package on this device; null: nothing, or it did not pass its test. */
  readonly prepared: Prepared | null;
  /** Threads of one run: those of the cell's lane. */
  readonly threads: number;
  /** Most bytes of keys and values that the expert may hold, for all its conversations together. */
  readonly cacheBytes: number;
  /** Creates a session over the file `path` of the package, with the cell's options; checks nothing. */
  openSession(path: string): Promise<InferenceSession>;
}

export interface TaskRun {
  /** True once the run should end early: looked at between steps. */
  readonly cancelled: () => boolean;
  readonly onDelta: (piece: Piece) => void;
  /** Adds to the time of a stage, in ms. */
  readonly spent: (stage: Stage, ms: number) => void;
}

export type Stage = 'tokenize' | 'run' | 'prefill' | 'decode';

export interface Task {
  /** True where runs yield to each other between their steps: then several may be under way at once. */
  readonly takesTurns?: true;
  run(ask: Ask, run: TaskRun): Promise<Answer>;
  /**
   * Numbers that the weights alone make of one of two fixed inputs: what it says again, to the bit, after its weights
   * were away. Without it an expert is not parked.
   */
  recite?(which: 0 | 1): Promise<Float32Array>;
  /** Bytes that it keeps for later runs. */
  keptBytes?(): number;
  /** Gives back what it keeps. Called between runs. */
  trim?(): void;
  release(): Promise<void>;
}

/** A context without anything prepared: for tests and scripts. */
export const UNPREPARED = { prepared: null, threads: 1, cacheBytes: 64 * 1024 ** 2 } as const;

/** Builds the task of a package. Rejects with AgentError `bad_expert` where graph and manifest do not match. */
export type OpenTask = (context: TaskContext) => Promise<Task>;
