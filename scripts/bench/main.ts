/**
 * `npm run bench -- NAME [options]` runs `scripts/bench/NAME.bench.ts`; without a name it lists them. Rows go to
 * standard output, one JSON object a line. Exit code 1 if a goal was missed, 2 if the bench could not be run.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Bench } from './bench.ts';
import { rowOf } from './report.ts';

const ENDING = '.bench.ts';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(ENDING))
  .map((file) => file.slice(0, -ENDING.length));
const [name, ...args] = process.argv.slice(2);
if (name !== undefined && names.includes(name)) await run(name, args);
else refuse(name);

function refuse(name: string | undefined): void {
  const problem = name === undefined ? 'which bench?' : `there is no bench "${name}"`;
  process.stderr.write(`${problem} There are: ${names.join(', ')}\n`);
  process.exitCode = 2;
}

async function run(name: string, args: string[]): Promise<void> {
  let missed = 0;
  try {
    const { bench } = (await import(pathToFileURL(join(import.meta.dirname, name + ENDING)).href)) as {
      bench: Bench;
    };
    await bench(args, (measure) => {
      const row = rowOf(name, measure);
      if (row.ok === false) missed++;
      process.stdout.write(`${JSON.stringify(row)}\n`);
    });
    process.exitCode = missed > 0 ? 1 : 0;
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 2;
  }
}
