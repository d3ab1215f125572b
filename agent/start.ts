/** `expertd start`: from the command line to a running agent, its signals, and its end. */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { policyOf } from '../policies/index.ts';
import type { Agent } from './agent.ts';
import { parseBytes } from './bytes.ts';
import type { CellCommand } from './cells/cell.ts';
import { cellEnvironment } from './cells/environment.ts';
import { PARKING_FOLDER } from './cells/protocol.ts';
import type { Additions } from './cli/add.ts';
import type { Checks } from './cli/check.ts';
import { AGENT_FILE } from './cli/client.ts';
import { parseFlags } from './cli/flags.ts';
import type { FleetTools } from './cli/fleet-tools.ts';
import { CliError, type Command, EXIT, type Io } from './cli/io.ts';
import { CONFIG_FLAGS, CONFIG_FLAGS_HELP, defaultStateDir, readOptions } from './cli/options.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { type ConfigLayers, loadConfig } from './configuration.ts';
import { AgentError } from './errors.ts';
import {
  cellCommand,
  nativeFile,
  prepareCommand,
  runKind,
  runtimeVersion,
  shippedExpertsDir,
} from './files.ts';
import type { Member } from './fleet/device/member.ts';
import type { HttpServer } from './http/server.ts';
import { LogTail } from './log-tail.ts';
import type { Logger } from './logging.ts';
import type { Membership } from './membership/membership.ts';
import { committedBytes } from './residency.ts';
import { Signals } from './signals.ts';

/** Taken where neither flag nor environment names a configuration, if it is there. */
export const CONFIG_NAME = 'edge.config.json';
/** In the state directory: how fast disks are. */
export const STORAGE_FILE = 'storage.json';
/** Also there: which versions of fetched experts count, and how far others have come. */
const ROLLOUTS_FILE = 'rollouts.json';
/** Requests under way get this long after SIGTERM; then everything ends. */
const STOP_MS = 8_000;
const FLUSH_AFTER_MS = 2_000;
const REFUSED = 'the new configuration is refused, and the old one stays';

export function startCommand(version: string): Command {
  return {
    name: 'start',
    flags: CONFIG_FLAGS,
    summary: 'start the agent and serve until it is stopped',
    usage: `Usage: expertd start [FLAGS]

Starts the agent. SIGTERM and SIGINT end it cleanly, SIGHUP reads the configuration again; a bad one is refused whole.
Without --config, ${CONFIG_NAME} in the working directory is used if it is there, else the defaults.

${CONFIG_FLAGS_HELP}`,
    run: async (args, io) => {
      const { values } = parseFlags(args, CONFIG_FLAGS);
      const { configPath, overrides } = readOptions(values, io.env);
      const path = configPath ?? (existsSync(CONFIG_NAME) ? resolve(CONFIG_NAME) : null);
      const signals = new Signals({
        source: process,
        nowMs: systemClock.nowMs,
        onImpatience: () => process.exit(EXIT.failed),
      });
      const layers = { path, overrides: { ...overrides } };
      try {
        // The fleet may ask for a new start: the same process begins anew, so it needs nobody who watches over it.
        for (let config: Config | null = loadConfig(layers); config !== null; )
          config = await run(config, layers, version, io, signals);
        return EXIT.ok;
      } catch (error) {
        if (error instanceof AgentError) throw new CliError(EXIT.failed, error.message, error.hint);
        throw error;
      }
    },
  };
}

/** Resolves with the configuration to start again with; null: it is to end. */
async function run(
  config: Config,
  layers: ConfigLayers,
  version: string,
  io: Io,
  signals: Signals,
): Promise<Config | null> {
  const [
    { Agent },
    { Cells },
    { openLogger },
    { openMonitor },
    { openAlarm },
    { StorageMeter },
    { Preparation },
    { Store },
    { HttpServer },
  ] = await Promise.all([
    import('./agent.ts'),
    import('./cells/cells.ts'),
    import('./logging.ts'),
    import('./monitor/open.ts'),
    import('./monitor/alarm/alarm.ts'),
    import('./monitor/storage.ts'),
    import('./preparation/preparation.ts'),
    import('./store/store.ts'),
    import('./http/server.ts'),
  ]);
  // What was asked leaves its traces in the files that are made from here on: they are nobody else's business.
  process.umask(0o077);
  const stateDir = config.stateDir ?? defaultStateDir(io.env);
  // Only a fleet asks for it.
  const logTail = config.fleet.url === null ? null : new LogTail();
  const log = openLogger({
    level: config.log.level,
    isTTY: io.isTTY,
    toJournal: io.env['JOURNAL_STREAM'] !== undefined,
    write: (line) => {
      io.stdout.write(line);
      logTail?.push(line);
    },
  });
  const again = Promise.withResolvers<'again'>();
  const membership =
    logTail === null
      ? null
      : new (await import('./membership/membership.ts')).Membership({
          config,
          version,
          stateDir,
          log,
          logTail,
          restart: () => again.resolve('again'),
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
    ...(membership === null ? {} : { outbox: membership.outbox() }),
    ...(runKind() === 'source' ? {} : { nativeBinding: nativeFile('better_sqlite3') }),
  });
  store.start();
  try {
    const expertsDir = config.expertsDir ?? shippedExpertsDir();
    const { installDir, addedDir } = placesOf(stateDir);
    const storage = new StorageMeter({
      folders: [expertsDir, installDir, addedDir],
      file: join(stateDir, STORAGE_FILE),
    });
    const agent = new Agent({
      config: overlaidBy(membership, config),
      version,
      expertsDir,
      installDir,
      recordPath: join(stateDir, ROLLOUTS_FILE),
      addedDir,
      readConfig: () => overlaidBy(membership, loadConfig(layers)),
      openRuntime: (hooks) => new Cells({ command: cellWithFolder(stateDir), log, ...hooks }),
      openMonitor: (pids) => openMonitor(pids, storage),
      openAlarm: (onAlarm) => openAlarm({ onAlarm, log }),
      preparation: new Preparation({
        directory: join(stateDir, 'prepared'),
        command: { ...prepareCommand(), env: cellEnvironment(process.env) },
        runtime: runtimeVersion,
        arch: process.arch,
        log,
      }),
      policyOf,
      ledger: store,
      clock: systemClock,
      log,
      sha256: (text) => createHash('sha256').update(text).digest('hex'),
    });
    const { host, port, token, allowedHosts, corsOrigins, maxBodyBytes } = config.http;
    const options = { host, port, token: token ?? null, allowedHosts, corsOrigins, maxBodyBytes };
    const server = new HttpServer(agent, options, log);
    const onUp = (url: string): void => {
      log.info({ url, version, stateDir }, 'expertd is up');
      // After the experts were read: the disk has nothing else to do for whoever waits.
      void storage.start();
      // Node writes its cache of compiled code at a clean exit only, and a device is switched off: 3.5 MB next time.
      setTimeout(flushCompileCache, FLUSH_AFTER_MS).unref();
    };
    const joinFleet = membership === null ? null : () => membership.join(agent, store);
    const why = await serve({ agent, server, stateDir, signals, log, onUp, joinFleet, again: again.promise });
    return why === 'again' ? readAgain(layers, config, log) : null;
  } finally {
    await store.stop();
  }
}

/** Nobody is there to mend what was changed badly: the device would be away for good. */
function readAgain(layers: ConfigLayers, config: Config, log: Logger): Config {
  try {
    return loadConfig(layers);
  } catch (error) {
    log.error({ err: error }, REFUSED);
    return config;
  }
}

function overlaidBy(membership: Membership | null, config: Config): Config {
  return membership === null ? config : membership.over(config);
}

/** Copies of weights lie on the disk of the state: the system's temporary folder may be memory. */
function cellWithFolder(stateDir: string): CellCommand {
  const folder = join(stateDir, 'parked');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return { ...cellCommand(), env: { [PARKING_FOLDER]: folder } };
}

interface Service {
  readonly agent: Agent;
  readonly server: HttpServer;
  readonly stateDir: string;
  readonly signals: Signals;
  readonly log: Logger;
  readonly onUp: (url: string) => void;
  /** null: there is no fleet. */
  readonly joinFleet: (() => Promise<Member>) | null;
  /** The fleet asks for a new start. */
  readonly again: Promise<'again'>;
}

/** Serves until a signal asks for the end, which may come at any moment. What was begun is ended, whatever happens. */
async function serve(service: Service): Promise<'end' | 'again'> {
  const { agent, server, stateDir, signals, log, onUp, joinFleet, again } = service;
  const url = await server.start();
  let member: Member | null = null;
  try {
    writeAgentFile(stateDir, url);
    const started = agent.start();
    signals.onReload(() => void reload(agent, log));
    const isUp = (await signals.endOr(started.then(() => 'up' as const))) === 'up';
    if (isUp) onUp(url);
    if (isUp && joinFleet !== null) member = await joinFleet();
    const why = await signals.endOr(again);
    log.info({ why }, why === 'again' ? 'expertd starts again' : 'expertd stops');
    return why === 'again' ? why : 'end';
  } finally {
    signals.onReload(null);
    await member?.stop();
    await Promise.all([agent.stop(STOP_MS), server.stop(STOP_MS)]);
    rmSync(join(stateDir, AGENT_FILE), { force: true });
  }
}

/** Where the CLI finds the agent, port 0 included. Appears whole. The CLI of another user may read it: no secrets. */
function writeAgentFile(stateDir: string, url: string): void {
  const path = join(stateDir, AGENT_FILE);
  // The directory is ours alone, so one name does: what a kill leaves behind is written over.
  const own = `${path}.new`;
  writeFileSync(own, `${JSON.stringify({ pid: process.pid, url })}\n`);
  chmodSync(own, 0o644);
  renameSync(own, path);
}

async function reload(agent: Agent, log: Logger): Promise<void> {
  try {
    await agent.reload();
    log.info({}, 'the configuration was read again');
  } catch (error) {
    log.error({ err: error }, REFUSED);
  }
}

/** Where in the state directory packages lie that were fetched, and those that were added by hand. */
export function placesOf(stateDir: string): { readonly installDir: string; readonly addedDir: string } {
  return { installDir: join(stateDir, 'experts'), addedDir: join(stateDir, 'added') };
}

/** What `expertd add` and `expertd remove` do; read when it is needed. */
export const additions: Additions = {
  add: async (...wish) => (await import('./additions.ts')).additions.add(...wish),
  remove: async (...what) => (await import('./additions.ts')).additions.remove(...what),
  tidy: async (...where) => (await import('./additions.ts')).additions.tidy(...where),
};

/** What the operator of a fleet does; read when it is needed. */
export const fleetTools: FleetTools = {
  collect: async (...what) => (await import('./collecting.ts')).fleetTools.collect(...what),
  openArchive: async (...what) => (await import('./collecting.ts')).fleetTools.openArchive(...what),
  twin: async (...what) => (await import('./collecting.ts')).fleetTools.twin(...what),
  setDesired: async (...what) => (await import('./collecting.ts')).fleetTools.setDesired(...what),
  command: async (...what) => (await import('./collecting.ts')).fleetTools.command(...what),
};

/** What `expertd check` checks. */
export const checks: Checks = {
  async config(path) {
    loadConfig({ path, overrides: {} });
    return `${path} is a valid configuration`;
  },
  async device(where) {
    const { diagnose } = await import('./diagnosis.ts');
    return diagnose(where);
  },
  async expert(directory) {
    const { readPackage, verifyPackage } = await import('./catalog/package.ts');
    const found = readPackage(resolve(directory));
    await verifyPackage(found);
    const bytes = found.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    return `${found.manifest.id} ${found.manifest.version}: ${found.manifest.files.length} files, ${bytes} bytes, all as the manifest says`;
  },
};
