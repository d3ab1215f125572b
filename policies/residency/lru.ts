/** Least recently used goes first. */
import type { ResidencyPolicy } from '../../agent/policy.ts';

export const lru: ResidencyPolicy = { value: ({ lastUsedMs }) => lastUsedMs, ages: false };
