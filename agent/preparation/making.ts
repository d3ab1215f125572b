/** What the phases made so far, and what that comes to. No I/O. */
import type { Manifest } from '../catalog/manifest.ts';
import { type Canary, type MadeFile, MODEL, type Phase, type Step, TOKENIZER } from './job.ts';
import type { Ended } from './process.ts';

/**
 * What a package can be prepared with, in order. A process takes up to 150 MB whatever the size of the model, which has
 * to fit into what the load of the expert has reserved: so models of less than `leastBytes` are loaded as they are,
 * and experts that are no language models, which gain little.
 */
export function phasesOf({ task, tokenizer, files }: Manifest, leastBytes: number): readonly Phase[] {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (task !== 'text-generation' || bytes < leastBytes) return [];
  return tokenizer?.kind === 'huggingface' ? ['tokenizer', 'graph', 'canary'] : ['graph', 'canary'];
}

/** The step that is not done where a phase comes to nothing. */
const STEP: Readonly<Record<Phase, Step['name']>> = {
  tokenizer: 'tokenizer',
  graph: 'graph',
  canary: 'canary',
};

export class Making {
  readonly #steps: Step[] = [];
  readonly #files: MadeFile[] = [];
  #canary: Canary | null = null;
  #exact = true;
  #complete = true;
  #vain: number;

  /** `vainTries` is how often this expert was tried in vain before. */
  constructor(vainTries: number) {
    this.#vain = vainTries;
  }

  /** Whether what was made of the graph changes no number. */
  get exact(): boolean {
    return this.#exact;
  }

  /** A graph that was not edited needs no canary. */
  needs(phase: Phase): boolean {
    return phase !== 'canary' || this.#files.some(({ path }) => path === MODEL);
  }

  take(phase: Phase, ended: Ended): void {
    if (ended.kind === 'made') {
      this.#steps.push(...ended.steps);
      this.#files.push(...ended.files);
      this.#canary ??= ended.canary;
      if (phase === 'graph') this.#exact = ended.exact;
      return;
    }
    this.#steps.push({ name: STEP[phase], done: false, why: ended.why });
    // What crashes by itself would do so again; what was killed may have been at the wrong time.
    if (ended.kind === 'failed' || ended.deliberate) this.#complete = false;
    // A full disk is not the expert's doing, and costs nothing to find out.
    if (ended.kind === 'died' || phase === 'canary') this.#vain += 1;
  }

  /** What was made of the graph and must not be used. */
  rejected(): readonly MadeFile[] {
    const isProved = this.#steps.some(({ name, done }) => name === 'canary' && done);
    return isProved ? [] : this.#files.filter(({ path }) => path !== TOKENIZER);
  }

  result() {
    const rejected = new Set(this.rejected());
    const files = this.#files.filter((file) => !rejected.has(file));
    const named = (name: string): string | null => (files.some(({ path }) => path === name) ? name : null);
    return {
      model: named(MODEL),
      tokenizer: named(TOKENIZER),
      files,
      steps: this.#steps,
      canary: this.#canary,
      complete: this.#complete,
      vainTries: this.#vain,
      writtenBytes: this.#files.reduce((sum, { bytes, linkOf }) => (linkOf === null ? sum + bytes : sum), 0),
    };
  }
}
