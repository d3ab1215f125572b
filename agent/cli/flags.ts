/** Flags by node's parseArgs, with errors that name the nearest flag. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { didYouMean } from '../nearest.ts';
import { CliError, EXIT } from './io.ts';

/** Flags of every command that talks to an agent. */
export const AGENT_FLAGS = {
  url: { type: 'string' },
  'state-dir': { type: 'string' },
  json: { type: 'boolean' },
} as const satisfies ParseArgsOptionsConfig;

export const AGENT_FLAGS_HELP = `  --json            print the agent's JSON as it is
  --url URL         the agent's address; default: from agent.json in the state directory
  --state-dir DIR   where the agent keeps its state (EXPERTD_STATE_DIR)
  EXPERTD_HTTP_TOKEN is sent as the bearer token where it is set.`;

/** Parses strictly. Throws a CliError `usage` that names what is wrong. */
export function parseFlags<const T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  refuseUnknown(args, Object.keys(options));
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new CliError(EXIT.usage, error instanceof Error ? firstSentence(error.message) : String(error));
  }
}

/** A whole number within bounds, or a CliError that names the flag. */
export function wholeNumber(text: string, flag: string, minimum: number, maximum: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
  throw new CliError(
    EXIT.usage,
    `${flag} must be a whole number from ${minimum} to ${maximum}, not "${text}"`,
  );
}

/** parseArgs names an unknown flag but not its neighbours. */
function refuseUnknown(args: readonly string[], known: readonly string[]): void {
  for (const arg of args) {
    if (arg === '--') return;
    const name = /^--([^=]+)/.exec(arg)?.[1];
    if (name === undefined || known.includes(name)) continue;
    const hint = didYouMean(name, known)
      .replaceAll('"', '')
      .replace('mean ', 'mean --')
      .replaceAll(' or ', ' or --');
    throw new CliError(EXIT.usage, `there is no flag --${name}`, hint.trim() === '' ? null : hint.trim());
  }
}

function firstSentence(message: string): string {
  return message.split(/\.\s|\n/)[0] ?? message;
}
