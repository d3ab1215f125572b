/**
 * What runs inside a cell for one expert. A task is built from an installed package and answers asks; it owns its
 * ONNX Runtime sessions and nothing else. The tasks live in `tasks/`, one file each.
 */
import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../catalog/manifest.ts';
import type { Answer, Ask } from '../ports.ts';

export interface TaskContext {
  readonly manifest: Manifest;
  /** Absolute path of the package's folder. */
  readonly directory: string;
  /** Creates a session over the file `path` of the package, with the cell's options; checks nothing. */
  openSession(path: string): Promise<InferenceSession>;
}

export interface TaskRun {
  /** True once the run should end early: looked at between steps. */
  readonly cancelled: () => boolean;
  readonly onDelta: (text: string) => void;
  /** Adds to the time of a stage, in ms. */
  readonly spent: (stage: 'tokenize' | 'run', ms: number) => void;
}

export interface Task {
  run(ask: Ask, run: TaskRun): Promise<Answer>;
  release(): Promise<void>;
}

/** Builds the task of a package. Rejects with AgentError `bad_expert` where graph and manifest do not match. */
export type OpenTask = (context: TaskContext) => Promise<Task>;
