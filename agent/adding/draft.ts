/** From a folder of a model repository to an `expert.json`: all of it but what only a trial can tell. */
import type { Manifest } from '../catalog/manifest.ts';
import { readCard } from './card.ts';
import { draftClassifier, draftEmbedder } from './encoder.ts';
import type { Findings, TaskPart } from './findings.ts';
import { draftGenerator } from './generator.ts';
import { identify, type Wishes } from './identity.ts';
import { type ModelFile, readModelFile } from './model-file.ts';
import type { ModelFolder } from './model-folder.ts';
import { refusal } from './refusal.ts';
import { EXPORTS, type HubTask, taskIn } from './task.ts';
import { readVocabulary } from './vocabulary.ts';

export interface Draft {
  /** Without what copying and the trial add. */
  readonly manifest: Omit<Manifest, 'files' | 'golden' | 'memory'>;
  /** Files to copy, by their paths in the folder. */
  readonly copied: readonly string[];
  /** Files to write, by their paths in the package. */
  readonly written: Readonly<Record<string, string>>;
  /** What was assumed, and what else there is: for whoever adds it. */
  readonly notes: readonly string[];
}

/** Taken along where they are there: what loading reads, and under which terms the model may be used. */
const COPIED_IF_THERE = ['config.json', 'special_tokens_map.json'];
const LEGAL = /^(?:LICEN[CS]E|NOTICE|COPYING)(?:\.(?:txt|md))?$/i;

const READERS: Readonly<Record<HubTask, (findings: Findings) => TaskPart>> = {
  'text-generation': draftGenerator,
  'feature-extraction': draftEmbedder,
  'text-classification': draftClassifier,
};

/** Throws an AgentError that says what is missing or does not fit, and what would help. */
export function draft(folder: ModelFolder, wishes: Wishes): Draft {
  const card = readCard(folder);
  const config = folder.json('config.json');
  if (config === null)
    throw refusal(
      'config.json is missing: the folder is not in the layout of a model repository',
      'Fetch all of it: hf download OWNER/NAME --local-dir FOLDER',
    );
  const said = taskIn({ card, config, folder });
  const model = readModelFile(folder, wishes.model, said === null ? null : EXPORTS[said]);
  const task = said ?? taskIn({ card, config, folder, signature: model.signature });
  if (task === null)
    throw refusal(
      'it does not show what the model does: neither architectures in config.json, nor pipeline_tag in README.md, nor the outputs of its graph',
      'Add "architectures" to config.json as its makers have it, or write an expert.json.',
    );
  const vocabulary = readVocabulary(folder);
  const { written, copied, notes, ...part } = READERS[task]({
    folder,
    config,
    model,
    vocabulary,
    context: wishes.context,
  });
  const identity = identify({ folder, card, config, task, precision: model.precision, wishes });
  const files = [model.path, ...model.weights, vocabulary.path, vocabulary.config, ...copied];
  const legal = folder.files().filter((path) => LEGAL.test(path));
  return {
    manifest: { schema: 1, ...identity.manifest, task, runtime: 'onnx', ...part },
    copied: [...new Set([...files, ...COPIED_IF_THERE.filter((path) => folder.has(path)), ...legal])],
    written,
    notes: [...notesOn(model), ...notes, ...identity.notes],
  };
}

function notesOn({ path, others }: ModelFile): string[] {
  return others.length === 0 ? [] : [`the model is ${path}; there are also ${others.join(', ')} (--model)`];
}
