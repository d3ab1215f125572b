/** Least recently used goes first. */
import type { ResidencyPolicy } from '../../agent/types.ts';

export const lru: ResidencyPolicy = { value: ({ lastUsedMs }) => lastUsedMs, ages: false };
