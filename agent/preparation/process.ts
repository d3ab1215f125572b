/** Runs one phase in a process of its own, with a limit of time. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Job, Outcome } from './job.ts';

/** How to start the process, which reads its job from stdin. */
export interface PrepareCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
}

export type Ended =
  | Outcome
  /** The process died; `deliberate` where somebody killed it, be it the kernel for want of memory. */
  | { readonly kind: 'died'; readonly why: string; readonly deliberate: boolean };

/** Of what the process says on its way down: enough for an error, not for a flood. */
const MOST_CHARS = 2_000;
/** Above every honest outcome. */
const MOST_OUTCOME_CHARS = 1_000_000;

export class PhaseProcess {
  readonly #child: ChildProcess;
  /** Settles when the process has ended; never rejects. */
  readonly ended: Promise<Ended>;

  constructor({ file, args, env }: PrepareCommand, job: Job, limitMs: number) {
    const child = spawn(file, [...args], {
      env: { ...env },
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    // Not an argument: those have a limit, and a manifest may hold a thousand examples.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(JSON.stringify(job));
    const outcome = collect(child.stdio[3] as Readable, MOST_OUTCOME_CHARS);
    const complaint = collect(child.stdio[2] as Readable, MOST_CHARS);
    const { promise, resolve } = Promise.withResolvers<Ended>();
    this.ended = promise;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.kill();
    }, limitMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      resolve({ kind: 'died', why: `its process could not be started: ${error.message}`, deliberate: true });
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const answer = code === 0 ? parse(outcome()) : null;
      if (answer !== null) return resolve(answer);
      const how = isLate ? `it took more than ${limitMs} ms` : describe(code, signal, complaint());
      resolve({ kind: 'died', why: `${job.phase}: ${how}`, deliberate: signal === 'SIGKILL' });
    });
  }

  /** At once; what it was writing stays where it is. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function describe(code: number | null, signal: NodeJS.Signals | null, complaint: string): string {
  const how = signal === null ? `its process ended with code ${code}` : `its process was killed by ${signal}`;
  const last = complaint.trim().split('\n').at(-1) ?? '';
  return last === '' ? how : `${how}: ${last}`;
}

/** Reads a stream to its end and keeps so much of it. */
function collect(stream: Readable, mostChars: number): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text = (text + chunk).slice(-mostChars);
  });
  stream.on('error', () => stream.destroy());
  return () => text;
}

/** The process is ours, of this very version: its outcome needs no more than to be whole. */
function parse(text: string): Outcome | null {
  try {
    const value = JSON.parse(text) as Outcome;
    return value.kind === 'made' || value.kind === 'failed' ? value : null;
  } catch {
    return null;
  }
}
