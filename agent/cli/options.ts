/**
 * Settings that can be given for one run: by flag, else by environment, else in the configuration file. The same table
 * serves `expertd start`, and the state directory that the other commands look into.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ParseArgsOptionsConfig } from 'node:util';
import { parseBytes } from '../bytes.ts';
import { AgentError } from '../errors.ts';
import { wholeNumber } from './flags.ts';
import { CliError, EXIT, type Io } from './io.ts';

export const CONFIG_FLAGS = {
  config: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  budget: { type: 'string' },
  'state-dir': { type: 'string' },
  'experts-dir': { type: 'string' },
} as const satisfies ParseArgsOptionsConfig;

export const CONFIG_FLAGS_HELP = `  --config FILE      configuration (EXPERTD_CONFIG)
  --host ADDRESS     address to bind; off loopback a token is needed (EXPERTD_HTTP_HOST)
  --port PORT        0 takes any free one (EXPERTD_HTTP_PORT)
  --budget SIZE      memory for all that expertd uses, as 300MB or 1.5GiB (EXPERTD_MEMORY_BUDGET)
  --state-dir DIR    database and agent.json (EXPERTD_STATE_DIR)
  --experts-dir DIR  folder of expert packages (EXPERTD_EXPERTS_DIR)
  EXPERTD_HTTP_TOKEN bearer token of 16 characters or more; no flag, so that it is not in the process list`;

const ENVIRONMENT = {
  config: 'EXPERTD_CONFIG',
  host: 'EXPERTD_HTTP_HOST',
  port: 'EXPERTD_HTTP_PORT',
  budget: 'EXPERTD_MEMORY_BUDGET',
  'state-dir': 'EXPERTD_STATE_DIR',
  'experts-dir': 'EXPERTD_EXPERTS_DIR',
} as const satisfies Record<keyof typeof CONFIG_FLAGS, string>;

/** A part of Config, to be laid over what the file says and then validated with it. */
export interface ConfigOverrides {
  readonly http?: { readonly host?: string; readonly port?: number; readonly token?: string };
  readonly memory?: { readonly budget?: string };
  readonly stateDir?: string;
  readonly expertsDir?: string;
}

export type ConfigFlags = Readonly<Partial<Record<keyof typeof CONFIG_FLAGS, string>>>;

/**
 * Maps flags and environment to the configuration's path and overrides. An empty variable counts as not set. Throws a
 * CliError `usage` that names the flag or the variable.
 */
export function readOptions(
  flags: ConfigFlags,
  env: Io['env'],
): { readonly configPath: string | null; readonly overrides: ConfigOverrides } {
  const value = (name: keyof typeof CONFIG_FLAGS) => pick(flags, env, name);
  const [host, port, budget] = [value('host'), value('port'), value('budget')];
  const [stateDir, expertsDir, token] = [value('state-dir'), value('experts-dir'), env['EXPERTD_HTTP_TOKEN']];
  if (budget !== null) needSize(budget.text, budget.from);
  if (token && token.length < 16) {
    throw new CliError(EXIT.usage, 'EXPERTD_HTTP_TOKEN must have 16 characters or more');
  }
  const http = {
    ...(host === null ? {} : { host: host.text }),
    ...(port === null ? {} : { port: wholeNumber(port.text, port.from, 0, 65_535) }),
    ...(token ? { token } : {}),
  };
  const overrides: ConfigOverrides = {
    ...(Object.keys(http).length === 0 ? {} : { http }),
    ...(budget === null ? {} : { memory: { budget: budget.text } }),
    ...(stateDir === null ? {} : { stateDir: stateDir.text }),
    ...(expertsDir === null ? {} : { expertsDir: expertsDir.text }),
  };
  return { configPath: value('config')?.text ?? null, overrides };
}

/** The state directory where neither flag, variable nor configuration names one. */
export function defaultStateDir(env: Io['env']): string {
  const base = env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state');
  return join(base, 'expertd');
}

/** The state directory that a command looks into. */
export function stateDirOf(flag: string | undefined, env: Io['env']): string {
  return pick({ 'state-dir': flag ?? '' }, env, 'state-dir')?.text ?? defaultStateDir(env);
}

function needSize(text: string, from: string): void {
  try {
    parseBytes(text, from);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    throw new CliError(EXIT.usage, error.message, error.hint);
  }
}

function pick(
  flags: ConfigFlags,
  env: Io['env'],
  name: keyof typeof CONFIG_FLAGS,
): { readonly text: string; readonly from: string } | null {
  const variable = ENVIRONMENT[name];
  const [flag, inherited] = [flags[name], env[variable]];
  if (flag) return { text: flag, from: `--${name}` };
  return inherited ? { text: inherited, from: variable } : null;
}
