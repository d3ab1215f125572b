/** `expertd check`: says whether a configuration or a folder of an expert is valid, without an agent. */
import { statSync } from 'node:fs';
import type { Survey } from '../device.ts';
import { toFailure } from '../errors.ts';
import type { Failure } from '../types.ts';
import { parseFlags } from './flags.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import type { ConfigOverrides } from './options.ts';

/** What can be checked; each resolves with a line about what it found, or rejects with an AgentError. */
export interface Checks {
  config(path: string): Promise<string>;
  /** The folder of one expert: its manifest, and every file's size and sha256. */
  expert(directory: string): Promise<string>;
  /** The device, and what the configuration wants of it; a configuration that is not valid is a finding. */
  device(where: ConfigChoice): Promise<Survey>;
}

/** Which configuration: as flags and environment say. */
export interface ConfigChoice {
  readonly configPath: string | null;
  readonly overrides: ConfigOverrides;
  /** Where the configuration names none. */
  readonly stateDir: string;
}

interface Finding {
  readonly path: string;
  readonly kind: 'config' | 'expert';
  readonly ok: boolean;
  readonly summary: string | null;
  readonly failure: Failure | null;
}

const FLAGS = { json: { type: 'boolean' } } as const;

export function checkCommand(checks: Checks): Command {
  return {
    name: 'check',
    flags: FLAGS,
    words: { of: 'files' },
    summary: 'check a configuration file or the folder of an expert',
    usage: `Usage: expertd check [--json] [PATH...]

A file is checked as a configuration, a folder as an expert: its expert.json, and the size and sha256 of every file.
Without PATH: the file in EXPERTD_CONFIG, else edge.config.json. Needs no agent. Ends with 1 where something is wrong.

  --json            print a list of findings`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, FLAGS);
      const paths = positionals.length > 0 ? positionals : [io.env['EXPERTD_CONFIG'] || 'edge.config.json'];
      const findings: Finding[] = [];
      for (const path of paths) findings.push(await look(path, checks));
      report(findings, values.json ?? false, io);
      return findings.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed;
    },
  };
}

async function look(path: string, checks: Checks): Promise<Finding> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new CliError(EXIT.usage, `there is no ${path}`);
  const kind = stats.isDirectory() ? 'expert' : 'config';
  try {
    const summary = await checks[kind](path);
    return { path, kind, ok: true, summary, failure: null };
  } catch (error) {
    return { path, kind, ok: false, summary: null, failure: toFailure(error) };
  }
}

function report(findings: readonly Finding[], json: boolean, io: Io): void {
  if (json) {
    io.stdout.write(`${JSON.stringify(findings)}\n`);
    return;
  }
  for (const { path, summary, failure } of findings) {
    if (failure === null) io.stdout.write(`ok   ${path}: ${summary}\n`);
    else
      io.stderr.write(
        `bad  ${path}: ${failure.message}${failure.hint === null ? '' : `\n     ${failure.hint}`}\n`,
      );
  }
}
