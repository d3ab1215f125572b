/**
 * GreedyDual-Size-Frequency: an expert is worth its age plus uses times the cost of loading it again per byte, so the
 * large, the rare and the cheap to reload go first (Cherkasova 1998; value in ms of load per MB, plus age).
 */
import type { ResidencyPolicy } from '../../agent/policy.ts';

const MB = 1_048_576;

export const gdsf: ResidencyPolicy = {
  value: ({ ageAtUse, uses, loadMs, bytes }) => ageAtUse + (uses * loadMs) / Math.max(bytes / MB, 1 / MB),
  ages: true,
};
