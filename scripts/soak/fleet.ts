/** Eight experts of different sizes and kinds, in a folder: generated ones, and copies of a real model where there is one. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeClassifier } from '../../test/experts-made/classifier.ts';
import { writeTinyLm } from '../../test/experts-made/tiny-lm.ts';
import { copyModel } from '../bench/model-copies.ts';

export interface Member {
  readonly id: string;
  readonly kind: 'generated' | 'classifier' | 'copied';
  readonly folder: string;
  readonly bytes: number;
}

export interface Fleet {
  readonly members: readonly Member[];
  /** In it a few can be resident, and all others parked. */
  readonly budgetBytes: number;
  /** Beside the budget: some of the file cache out of which parked experts come back, but not all of it. */
  readonly limitBytes: number;
}

interface Plan {
  readonly generatedBytes: readonly number[];
  /** null: there is none, and no cell for it. */
  readonly classifierBytes: number | null;
  readonly copies: number;
  readonly budgetBytes: number;
  readonly limitBytes: number;
}

const MIB = 2 ** 20;
const NAMES = ['crow', 'dove', 'finch', 'gull', 'heron', 'ibis', 'jay', 'kite'] as const;
const SMALL: Plan = {
  generatedBytes: [54e6, 40e6, 48e6, 40e6, 54e6, 40e6],
  classifierBytes: null,
  copies: 0,
  budgetBytes: 300 * MIB,
  limitBytes: 640 * MIB,
};
const GENERATED: Plan = {
  generatedBytes: [120e6, 40e6, 80e6, 40e6, 120e6, 40e6, 80e6],
  classifierBytes: 30e6,
  copies: 0,
  budgetBytes: 640 * MIB,
  limitBytes: 960 * MIB,
};
const MIXED: Plan = {
  generatedBytes: [80e6, 20e6, 40e6, 40e6],
  classifierBytes: 30e6,
  copies: 3,
  budgetBytes: 640 * MIB,
  limitBytes: 960 * MIB,
};

/** `model` is the folder of a hub repository; where it is missing all experts are generated. */
export function makeFleet(folder: string, model: string, small: boolean): Fleet {
  const plan = small ? SMALL : existsSync(join(model, 'config.json')) ? MIXED : GENERATED;
  const generated = plan.generatedBytes.map((payloadBytes, at): Member => {
    const id = NAMES[at] ?? `bird-${at}`;
    writeTinyLm(join(folder, id), { id, seed: at + 1, payloadBytes });
    return memberOf(folder, id, 'generated');
  });
  const sorted = plan.classifierBytes === null ? [] : [classifier(folder, plan.classifierBytes)];
  const copied = Array.from({ length: plan.copies }, (_, at): Member => {
    const id = `copy-${at + 1}`;
    copyModel(model, join(folder, id), at);
    return memberOf(folder, id, 'copied');
  });
  const members = [...generated, ...sorted, ...copied];
  const { budgetBytes, limitBytes } = plan;
  return { members, budgetBytes, limitBytes };
}

function classifier(folder: string, payloadBytes: number): Member {
  writeClassifier(join(folder, 'sorter'), { id: 'sorter', seed: 1, payloadBytes });
  return memberOf(folder, 'sorter', 'classifier');
}

function memberOf(parent: string, id: string, kind: Member['kind']): Member {
  const folder = join(parent, id);
  const sizes = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).size);
  return { id, kind, folder, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}
