/** What an edit of a graph comes to. */

/** Why a graph was left as it is: a sentence without a full stop that a person can read. */
export interface Refused {
  readonly done: false;
  readonly why: string;
}

export interface Done {
  readonly done: true;
  /** True where every number stays the same to the bit; else sums of floats may be made in another order. */
  readonly exact: boolean;
}

export type Edited = Done | Refused;

export function refused(why: string): Refused {
  return { done: false, why };
}
