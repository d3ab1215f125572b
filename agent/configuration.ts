/**
 * Reads the configuration: the file, what flags and environment lay over it, the schema's defaults. All or nothing: a
 * configuration with one bad field is refused whole, and says which.
 */
import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { parseBytes } from './bytes.ts';
import { type Config, ConfigSchema } from './config.ts';
import { AgentError } from './errors.ts';
import { parseBroker } from './fleet/broker.ts';
import { checker } from './validation.ts';

export interface ConfigLayers {
  /** The file; null for none. */
  readonly path: string | null;
  /** Wins over the file: a part of a configuration. Paths in it are relative to the working directory. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

type Canary = NonNullable<Config['experts'][number]['canary']>;

const PATHS = ['stateDir', 'expertsDir'] as const;
/** Below this a database holds nothing that is worth reading. */
const LEAST_LOG_BYTES = 1_048_576;
const LEAST_OUTBOX_BYTES = 65_536;
const LEAST_TOKEN_CHARS = 16;
const HINT = 'schema/config.schema.json describes every field; "expertd check FILE" checks a file.';

const check = checker(ConfigSchema, { subject: 'the configuration', fillDefaults: true });

/** Throws AgentError `bad_config` that names file and field. */
export function loadConfig({ path, overrides }: ConfigLayers): Config {
  const written = path === null ? {} : absolutePaths(readJson(path), dirname(resolve(path)));
  const value = layOver(written, absolutePaths(overrides, process.cwd()));
  const { value: config, problem } = check(value);
  const where = path ?? 'the configuration';
  if (config === null)
    throw new AgentError('bad_config', `${where}: ${problem.message}`, { hint: problem.hint ?? HINT });
  checkMeaning(config, where);
  const base = path === null ? process.cwd() : dirname(resolve(path));
  const experts = config.experts.map((one) => fromBase(one, base));
  return withToken({ ...config, experts, fleet: fleetFrom(config.fleet, base) }, base);
}

/** What a schema cannot say. */
function checkMeaning({ memory, log, experts, fleet }: Config, where: string): void {
  const refuse = (message: string, hint: string): never => {
    throw new AgentError('bad_config', `${where}: ${message}`, { hint });
  };
  const sizes = { 'memory.budget': memory.budget, 'memory.availableLow': memory.availableLow };
  for (const [name, size] of Object.entries(sizes))
    if (size !== undefined) parseBytes(size, `${where}: ${name}`);
  if (parseBytes(log.maxBytes, `${where}: log.maxBytes`) < LEAST_LOG_BYTES)
    refuse(`"log.maxBytes" must be at least ${LEAST_LOG_BYTES} bytes`, 'Write 1MiB or more.');
  if (parseBytes(fleet.outboxBytes, `${where}: fleet.outboxBytes`) < LEAST_OUTBOX_BYTES)
    refuse(`"fleet.outboxBytes" must be at least ${LEAST_OUTBOX_BYTES} bytes`, 'Write 64KiB or more.');
  if (fleet.url !== null) parseBroker(fleet.url);
  if ((fleet.tls.cert === undefined) !== (fleet.tls.key === undefined))
    refuse('"fleet.tls.cert" and "fleet.tls.key" go together', 'Set both, or neither.');
  const ids = experts.map(({ id }) => id);
  const twice = ids.findIndex((id, index) => ids.indexOf(id) !== index);
  if (twice >= 0) refuse(`"experts[${twice}].id" names "${ids[twice]}" again`, 'Name each expert once.');
  const unmeasured = experts.findIndex(({ canary }) => canary !== undefined && !hasOneMeasure(canary));
  if (unmeasured >= 0)
    refuse(
      `"experts[${unmeasured}].canary" must have either "decisions" or "minutes"`,
      'Say how many answers a new version must give, or how long it must last.',
    );
}

function hasOneMeasure({ decisions, minutes }: Canary): boolean {
  return (decisions === undefined) !== (minutes === undefined);
}

/** Folders of a file are relative to its own folder, as all its paths are. */
function fromBase(expert: Config['experts'][number], base: string): Config['experts'][number] {
  const sources = expert.sources.map((source) => {
    const folder = /^file:(?!\/)(.+)$/s.exec(source.uri)?.[1];
    return folder === undefined ? source : { ...source, uri: `file:${resolve(base, folder)}` };
  });
  return { ...expert, sources };
}

/** Its files are read at each connection, and named absolutely from here on. */
function fleetFrom(fleet: Config['fleet'], base: string): Config['fleet'] {
  const { passwordFile, tls } = fleet;
  const file = <K extends string>(key: K, path: string | undefined) =>
    (path === undefined ? {} : { [key]: resolve(base, path) }) as { [key in K]?: string };
  const files = { ...file('ca', tls.ca), ...file('cert', tls.cert), ...file('key', tls.key) };
  return { ...fleet, ...file('passwordFile', passwordFile), tls: { ...tls, ...files } };
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
function withToken(config: Config, base: string): Config {
  const { token, tokenFile } = config.http;
  if (token !== undefined || tokenFile === undefined) return config;
  const file = resolve(base, tokenFile);
  return { ...config, http: { ...config.http, token: readToken(file) } };
}

function readToken(file: string): string {
  const hint = `Write a token of ${LEAST_TOKEN_CHARS} characters or more into it.`;
  let token: string;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const why = (cause as Error).message;
    throw new AgentError('bad_config', `http.tokenFile ${file} cannot be read: ${why}`, { hint, cause });
  }
  if (token.length >= LEAST_TOKEN_CHARS && !/\s/.test(token)) return token;
  throw new AgentError('bad_config', `http.tokenFile ${file} holds no token`, { hint });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
