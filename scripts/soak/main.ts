/**
 * `npm run soak -- swap [--swaps 10000] [--seed 1] [--limit-mb M] [--minutes 180] [--clients 3] [--small] [--out FILE.json]`.
 * The summary goes to standard output, or to FILE.json with a chart in FILE.svg; progress to standard error. Exit code
 * 1 if a criterion failed, 2 if the soak could not be run.
 */
import { writeFileSync } from 'node:fs';
import { parseOptions, type SoakOptions } from './options.ts';
import { soakSwaps } from './swap.ts';

const [name, ...args] = process.argv.slice(2);
if (name === 'swap') process.exitCode = await run(args);
else {
  process.stderr.write(
    `${name === undefined ? 'which soak?' : `there is no soak "${name}".`} There is: swap\n`,
  );
  process.exitCode = 2;
}

async function run(args: readonly string[]): Promise<number> {
  const over = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => over.abort());
  try {
    return await report(parseOptions(args), over.signal);
  } catch (error) {
    // Ctrl-C reaches the agent too, and requests under way then break off.
    const what = over.signal.aborted ? 'stopped by hand' : error instanceof Error ? error.message : error;
    process.stderr.write(`swap: ${what}\n`);
    return 2;
  }
}

async function report(options: SoakOptions, signal: AbortSignal): Promise<number> {
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const { passed, criteria, figures, chart } = await soakSwaps(options, signal, tell);
  for (const { name, value, unit, atMost, passed: is, why } of criteria) {
    const verdict = is === null ? 'not judged' : is ? 'passed' : 'FAILED';
    tell(
      `${verdict}: ${name}: ${value === null ? why : Number(value.toPrecision(4))} (${unit}, at most ${atMost})`,
    );
  }
  tell(`${figures['totalSeconds']} s in all, ${passed ? 'passed' : 'failed'}`);
  const text = `${JSON.stringify({ passed, criteria, ...figures }, null, 2)}\n`;
  if (options.out === null) process.stdout.write(text);
  else {
    writeFileSync(options.out, text);
    writeFileSync(`${options.out.replace(/\.json$/, '')}.svg`, chart);
  }
  return passed ? 0 : 1;
}
