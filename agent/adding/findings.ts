/** What passes between reading a folder and drafting the part of a manifest that a task knows. No code. */
import type { Manifest } from '../catalog/manifest.ts';
import type { ModelFile } from './model-file.ts';
import type { Json, ModelFolder } from './model-folder.ts';
import type { Vocabulary } from './vocabulary.ts';

/** What the folder holds, as those read it who know one task. */
export interface Findings {
  readonly folder: ModelFolder;
  readonly config: Json;
  readonly model: ModelFile;
  readonly vocabulary: Vocabulary;
  /** Most tokens that a user wants, null for as many as the model takes. */
  readonly context: number | null;
}

/** What a task knows of the manifest. */
export type TaskPart = Pick<Manifest, 'model' | 'tokenizer' | 'labels' | 'pooling'> & {
  /** Files to write, by their paths in the package. */
  readonly written: Readonly<Record<string, string>>;
  /** Files to copy, beside those that every task needs. */
  readonly copied: readonly string[];
  /** What was assumed: for whoever adds it. */
  readonly notes: readonly string[];
};
