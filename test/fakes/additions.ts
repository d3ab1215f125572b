/** Additions for commands that are not about them. */
import type { Additions } from '../../agent/cli/add.ts';

const unexpected = (): never => {
  throw new Error('nobody is to add or remove anything here');
};

export const NO_ADDITIONS: Additions = { add: unexpected, remove: unexpected, tidy: unexpected };
