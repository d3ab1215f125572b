/** llama.cpp's own bench as a baseline: the same machine, threads and lengths, a GGUF of the same model. */
import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';

export interface Speeds {
  /** Tokens a second, by length of the prompt. */
  readonly prefill: ReadonlyMap<number, number>;
  readonly decode: number;
}

interface Test {
  readonly n_prompt: number;
  readonly n_gen: number;
  readonly avg_ts: number;
}

const run = promisify(execFile);

/** One round of each test. Throws where the program cannot be run. */
export async function llamaBench(
  path: string,
  gguf: string,
  { threads, prompts, decode }: { threads: number; prompts: readonly number[]; decode: number },
): Promise<Speeds> {
  const lengths = ['-p', prompts.join(','), '-n', String(decode)];
  const { stdout } = await run(path, [
    '-m',
    gguf,
    '-t',
    String(threads),
    ...lengths,
    '-r',
    '1',
    '-o',
    'json',
  ]);
  const tests = JSON.parse(stdout) as readonly Test[];
  return {
    prefill: new Map(tests.filter((one) => one.n_gen === 0).map((one) => [one.n_prompt, one.avg_ts])),
    decode: tests.find((one) => one.n_gen > 0)?.avg_ts ?? Number.NaN,
  };
}

/** `SmolLM2-135M-Instruct.Q8_0.gguf` and the like, as a part of a metric's name. */
export function ggufName(path: string): string {
  return basename(path, '.gguf')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase();
}
