/** Asks an expert for its golden answers: what its maker saw, it must say here too. */
import { toFailure } from './errors.ts';
import { askOfGolden, type Golden, judgeGolden } from './golden.ts';
import type { Ask, RunReport } from './ports.ts';
import type { Failure, Task } from './types.ts';
import { quoted, type Verdict } from './verdict.ts';

export interface SelfTest {
  readonly task: Task;
  readonly goldens: readonly Golden[];
  /**
   * Embedding of a question in the embedder that retrieval experts of this device are asked with; null where it is not
   * in memory. Only called for a retrieval expert.
   */
  readonly embed: (question: string) => Promise<Float32Array | null>;
}

export interface Tested {
  /** `golden_differs`, or why a run failed; null: nothing speaks against the expert. */
  readonly error: Failure | null;
  /** Golden answers that it gave. */
  readonly given: number;
  /** Why each of the others could not be judged. None given, and some of these: it was loaded, and no more is known. */
  readonly unjudged: readonly string[];
}

export type Run = (ask: Ask) => Promise<Pick<RunReport, 'answer'>>;

/** One after the other, up to the first difference or failure. Never rejects. */
export async function selfTest(run: Run, { task, goldens, embed }: SelfTest): Promise<Tested> {
  const unjudged: string[] = [];
  let given = 0;
  for (const golden of goldens) {
    try {
      // An embedder that leaves meanwhile is none of the expert's faults: it has its words.
      const embedding = task === 'retrieval' ? await embed(golden.input).catch(() => null) : null;
      const verdict = await verdictOf(run, task, golden, embedding);
      if (verdict.kind === 'different')
        return { error: differs(golden.input, verdict.difference), given, unjudged };
      if (verdict.kind === 'unjudged') unjudged.push(verdict.why);
      else given += 1;
    } catch (error) {
      return { error: toFailure(error), given, unjudged };
    }
  }
  return { error: null, given, unjudged };
}

async function verdictOf(
  run: Run,
  task: Task,
  { input, output }: Golden,
  embedding: Float32Array | null,
): Promise<Verdict> {
  const ask = askOfGolden(task, input, embedding);
  if (ask.kind === 'unjudged') return ask;
  return judgeGolden(task, output, (await run(ask)).answer);
}

function differs(input: string, difference: string): Failure {
  return {
    code: 'golden_differs',
    message: `asked ${quoted(input)}, ${difference}`,
    hint: 'Publish a version whose files, and whose "golden" in expert.json, are right; "tolerance" is for CPUs that round otherwise.',
    retryable: false,
  };
}
