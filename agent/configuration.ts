/**
 * Reads the configuration: the file, what flags and environment lay over it, the schema's defaults. All or nothing: a
 * configuration with one bad field is refused whole, and says which.
 */
import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { type Config, ConfigSchema } from './config.ts';
import { AgentError } from './errors.ts';
import { checker } from './validation.ts';

export interface ConfigLayers {
  /** The file; null for none. */
  readonly path: string | null;
  /** Wins over the file: a part of a configuration. Paths in it are relative to the working directory. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

const PATHS = ['stateDir', 'expertsDir'] as const;
const HINT = 'schema/config.schema.json describes every field; "expertd check FILE" checks a file.';

const check = checker(ConfigSchema, { subject: 'the configuration', fillDefaults: true });

/** Throws AgentError `bad_config` that names file and field. */
export function loadConfig({ path, overrides }: ConfigLayers): Config {
  const written = path === null ? {} : absolutePaths(readJson(path), dirname(resolve(path)));
  const value = layOver(written, absolutePaths(overrides, process.cwd()));
  const { value: config, problem } = check(value);
  if (config !== null) return withToken(config, path);
  const where = path ?? 'the configuration';
  throw new AgentError('bad_config', `${where}: ${problem.message}`, { hint: problem.hint ?? HINT });
}

function readJson(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AgentError('bad_config', `${path} cannot be read: ${(cause as Error).message}`, {
      hint: 'Check --config.',
      cause,
    });
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (cause) {
    throw new AgentError('bad_config', `${path} is not JSON: ${(cause as Error).message}`, {
      hint: HINT,
      cause,
    });
  }
  throw new AgentError('bad_config', `${path} must hold an object`, { hint: HINT });
}

/** Paths of a file are relative to its folder. */
function absolutePaths(value: Readonly<Record<string, unknown>>, base: string): Record<string, unknown> {
  const result = { ...value };
  for (const key of PATHS) {
    const path = result[key];
    if (typeof path === 'string' && !isAbsolute(path)) result[key] = resolve(base, path);
  }
  return result;
}

function layOver(
  below: Readonly<Record<string, unknown>>,
  above: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const under = result[key];
    result[key] = isObject(value) && isObject(under) ? layOver(under, value) : value;
  }
  return result;
}

/** The token from its file, if it is kept in one. */
function withToken(config: Config, path: string | null): Config {
  const { token, tokenFile } = config.http;
  if (token !== undefined || tokenFile === undefined) return config;
  const file = resolve(path === null ? process.cwd() : dirname(resolve(path)), tokenFile);
  try {
    return { ...config, http: { ...config.http, token: readFileSync(file, 'utf8').trim() } };
  } catch (cause) {
    throw new AgentError('bad_config', `http.tokenFile ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
