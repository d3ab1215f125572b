/** `expertd start`: from the command line to a running agent, its signals, and its end. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { policyOf } from '../policies/index.ts';
import type { Agent } from './agent.ts';
import { parseBytes } from './bytes.ts';
import type { Checks } from './cli/check.ts';
import { AGENT_FILE } from './cli/client.ts';
import { parseFlags } from './cli/flags.ts';
import { CliError, type Command, EXIT, type Io } from './cli/io.ts';
import { CONFIG_FLAGS, CONFIG_FLAGS_HELP, defaultStateDir, readOptions } from './cli/options.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { type ConfigLayers, loadConfig } from './configuration.ts';
import { AgentError } from './errors.ts';
import { cellCommand, nativeFile, runKind, shippedExpertsDir } from './files.ts';
import type { Logger } from './logging.ts';
import { committedBytes } from './residency.ts';

/** Taken where neither flag nor environment names a configuration, if it is there. */
const CONFIG_NAME = 'edge.config.json';
/** Requests under way get this long after SIGTERM; then everything ends. */
const STOP_MS = 8_000;
const FLUSH_AFTER_MS = 2_000;

export function startCommand(version: string): Command {
  return {
    name: 'start',
    summary: 'start the agent and serve until it is stopped',
    usage: `Usage: expertd start [FLAGS]

Starts the agent. SIGTERM and SIGINT end it cleanly, SIGHUP reads the configuration again; a bad one is refused whole.
Without --config, ${CONFIG_NAME} in the working directory is used if it is there, else the defaults.

${CONFIG_FLAGS_HELP}`,
    run: async (args, io) => {
      const { values } = parseFlags(args, CONFIG_FLAGS);
      const { configPath, overrides } = readOptions(values, io.env);
      const path = configPath ?? (existsSync(CONFIG_NAME) ? resolve(CONFIG_NAME) : null);
      try {
        return await run({ path, overrides: { ...overrides } }, version, io);
      } catch (error) {
        if (error instanceof AgentError) throw new CliError(EXIT.failed, error.message, error.hint);
        throw error;
      }
    },
  };
}

async function run(layers: ConfigLayers, version: string, io: Io): Promise<number> {
  const config = loadConfig(layers);
  const [{ Agent }, { openLogger }, { Store }, { HttpServer }] = await Promise.all([
    import('./agent.ts'),
    import('./logging.ts'),
    import('./store/store.ts'),
    import('./http/server.ts'),
  ]);
  const stateDir = config.stateDir ?? defaultStateDir(io.env);
  const log = openLogger({
    level: config.log.level,
    isTTY: io.isTTY,
    toJournal: io.env['JOURNAL_STREAM'] !== undefined,
    write: (line) => io.stdout.write(line),
  });
  const store = new Store({
    directory: stateDir,
    version,
    clock: systemClock,
    committedBytes,
    syncMs: config.log.syncMs,
    maxRows: config.log.maxRows,
    maxBytes: parseBytes(config.log.maxBytes, 'log.maxBytes'),
    report: (failure) => log.warn({ failure }, 'the decision log'),
    ...(runKind() === 'source' ? {} : { nativeBinding: nativeFile('better_sqlite3') }),
  });
  store.start();
  try {
    const agent = new Agent({
      config,
      version,
      expertsDir: config.expertsDir ?? shippedExpertsDir(),
      installDir: join(stateDir, 'experts'),
      cellCommand: cellCommand(),
      policyOf,
      ledger: store,
      clock: systemClock,
      log,
      sha256: (text) => createHash('sha256').update(text).digest('hex'),
    });
    const { host, port, token, allowedHosts, corsOrigins, maxBodyBytes } = config.http;
    const options = { host, port, token: token ?? null, allowedHosts, corsOrigins, maxBodyBytes };
    const server = new HttpServer(agent, options, log);
    const url = await server.start();
    writeAgentFile(stateDir, url);
    await agent.start();
    log.info({ url, version, stateDir }, 'expertd is up');
    // Node writes its cache of compiled code at a clean exit only, and a device is switched off: 3.5 MB at the next start.
    setTimeout(flushCompileCache, FLUSH_AFTER_MS).unref();
    const signal = await untilStopped(agent, layers, log);
    log.info({ signal }, 'expertd stops');
    await Promise.all([agent.stop(STOP_MS), server.stop(STOP_MS)]);
    rmSync(join(stateDir, AGENT_FILE), { force: true });
  } finally {
    await store.stop();
  }
  return EXIT.ok;
}

/** Where the CLI finds the agent, port 0 included. Appears whole. */
function writeAgentFile(stateDir: string, url: string): void {
  const path = join(stateDir, AGENT_FILE);
  const own = `${path}.${randomUUID()}`;
  writeFileSync(own, `${JSON.stringify({ pid: process.pid, url })}\n`);
  renameSync(own, path);
}

/** Resolves with the signal that asks for the end. A second one ends the process at once. */
function untilStopped(agent: Agent, layers: ConfigLayers, log: Logger): Promise<string> {
  process.on('SIGHUP', () => void reload(agent, layers, log));
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(EXIT.failed));
        resolve(signal);
      });
    }
  });
}

async function reload(agent: Agent, layers: ConfigLayers, log: Logger): Promise<void> {
  try {
    await agent.reload(loadConfig(layers));
    log.info({}, 'the configuration was read again');
  } catch (error) {
    log.error({ err: error }, 'the new configuration is refused, and the old one stays');
  }
}

/** What `expertd check` checks. */
export const checks: Checks = {
  async config(path) {
    const config: Config = loadConfig({ path, overrides: {} });
    for (const size of [config.memory.budget, config.memory.availableLow])
      if (size !== undefined) parseBytes(size, path);
    return `${path} is a valid configuration`;
  },
  async expert(directory) {
    const { readPackage, verifyPackage } = await import('./catalog/package.ts');
    const found = readPackage(resolve(directory));
    await verifyPackage(found);
    const bytes = found.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    return `${found.manifest.id} ${found.manifest.version}: ${found.manifest.files.length} files, ${bytes} bytes, all as the manifest says`;
  },
};
