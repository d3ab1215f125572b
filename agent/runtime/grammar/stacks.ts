/**
 * Follows a text byte by byte. A stack of frames is one way to read what was said: the rule that is under way, and those
 * that called it. Several stacks are followed at once where the text could be read in several ways.
 */
import type { Dfa, State } from './dfa.ts';
import { MAX_STACKS } from './limits.ts';
import type { Rule } from './nfa.ts';
import { counted, type Plan, passes } from './plan.ts';

/** A rule under way, and what it returns to. Never changed, so stacks share their lower parts. */
export class Frame {
  readonly rule: Rule;
  readonly state: State;
  readonly count: number;
  /** null: the text ends with this rule. */
  readonly parent: Frame | null;
  readonly #plan: Plan;
  #cost = -1;

  constructor(plan: Plan, rule: Rule, state: State, count: number, parent: Frame | null) {
    this.#plan = plan;
    this.rule = rule;
    this.state = state;
    this.count = count;
    this.parent = parent;
  }

  /** Tokens of the plan from here to the end of the text. */
  get cost(): number {
    if (this.#cost < 0) {
      this.#cost = this.#plan.tokens(this.rule, this.state, this.count) + (this.parent?.cost ?? 0);
    }
    return this.#cost;
  }

  /** The same frame further on in its rule. */
  at(state: State, count: number): Frame {
    return new Frame(this.#plan, this.rule, state, count, this.parent);
  }

  equals(other: Frame): boolean {
    return (
      this.state === other.state &&
      this.count === other.count &&
      this.parent === other.parent &&
      this.rule === other.rule
    );
  }
}

/** All ways to read a text so far. */
export interface Reading {
  /** Frames that some byte can follow. */
  readonly frames: readonly Frame[];
  /** The text may end here. */
  readonly done: boolean;
}

export const NO_READING: Reading = { frames: [], done: false };

/** Tokens of the shortest plan. */
export function costOf({ frames, done }: Reading): number {
  return done ? 0 : frames.reduce((least, frame) => Math.min(least, frame.cost), Infinity);
}

export class Stacks {
  readonly #dfa: Dfa;
  readonly #plan: Plan;

  constructor(dfa: Dfa, plan: Plan) {
    this.#dfa = dfa;
    this.#plan = plan;
  }

  /** Before the first byte of a text that is `rule`. */
  begin(rule: Rule): Reading {
    const state = this.#dfa.from(rule.start);
    return state === null ? NO_READING : this.settle([new Frame(this.#plan, rule, state, 0, null)]);
  }

  /** After one more byte; no frames and not done: it cannot come. */
  step(frames: readonly Frame[], byte: number): Reading {
    const moved: Frame[] = [];
    for (const frame of frames) {
      const move = this.#dfa.move(frame.state, byte);
      if (move === null || !passes(frame.rule, frame.count, move.guard)) continue;
      moved.push(frame.at(move.state, counted(frame.rule, frame.count, move.guard)));
    }
    return moved.length === 0 ? NO_READING : this.settle(moved);
  }

  /** Calls and returns until every frame waits for a byte. */
  settle(frames: readonly Frame[]): Reading {
    const found: Frame[] = [];
    let done = false;
    const visit = (frame: Frame): void => {
      const { rule, state, count, parent } = frame;
      // To compare two frames is that much cheaper than to make a state.
      this.#dfa.spend(1 + (found.length >> 4));
      if (found.some((other) => other.equals(frame))) return;
      if (state.moves) found.push(frame);
      if (state.accepts) {
        if (parent === null) done = true;
        else visit(parent);
      }
      for (const call of state.calls) {
        if (passes(rule, count, call.guard)) this.#enter(frame, call.rule, call.to, visit);
      }
    };
    for (const frame of frames) visit(frame);
    return { frames: fewest(found), done };
  }

  #enter(frame: Frame, rule: Rule, to: number, visit: (frame: Frame) => void): void {
    const start = this.#dfa.from(rule.start);
    const after = this.#dfa.from(to);
    if (start === null || after === null) return;
    // A rule that has nothing to say afterwards need not be returned to.
    const isLast = after.accepts && !after.moves && after.calls.length === 0;
    const parent = isLast ? frame.parent : frame.at(after, frame.count);
    visit(new Frame(this.#plan, rule, start, 0, parent));
  }
}

/** Too many ways to read a text (hostile schemas have them) are cut to those that end soonest: what is left is still valid. */
function fewest(frames: Frame[]): readonly Frame[] {
  if (frames.length <= MAX_STACKS) return frames;
  return frames.sort((a, b) => a.cost - b.cost).slice(0, MAX_STACKS);
}
