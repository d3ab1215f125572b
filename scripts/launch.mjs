/** How run.mjs starts the bundle: on which Node, with which arguments, leaving as little behind as it can. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

const NEEDED_MAJOR = 24;
/** @type {readonly NodeJS.Signals[]} */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];

/**
 * The Node that npm installed beside the packages; else the one that runs this, if it is new enough.
 * @param {string} root
 */
export function findNode(root, execPath = process.execPath, version = process.versions.node) {
  const packaged = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(packaged)) return packaged;
  if (Number.parseInt(version, 10) >= NEEDED_MAJOR) return execPath;
  throw new Error(
    `expertd needs Node ${NEEDED_MAJOR}, and this is Node ${version}. Run \`npm ci\` in ${root}, which installs one ` +
      `for Linux on x64 and arm64; elsewhere start this script with Node ${NEEDED_MAJOR}.`,
  );
}

/**
 * @param {string} root
 * @param {string} bundle
 * @param {readonly string[]} args
 * @returns {string[]}
 */
export function launchArguments(root, bundle, args) {
  const flags = JSON.parse(readFileSync(join(root, 'agent/v8-flags.json'), 'utf8'));
  return [...flags, '--disable-warning=ExperimentalWarning', bundle, ...args];
}

/**
 * The environment of the agent, where its user has not set these: compiled code is kept between starts (3.5 MB), and
 * the C library keeps one arena and gives back what is free at its top (6 MB of 66 at boot, medians of 4 in turns).
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @returns {NodeJS.ProcessEnv}
 */
export function launchEnvironment(root, env) {
  return {
    NODE_COMPILE_CACHE: join(root, 'dist', 'compile-cache'),
    MALLOC_ARENA_MAX: '1',
    MALLOC_TRIM_THRESHOLD_: '131072',
    ...env,
  };
}

/**
 * Replaces this process (execve) where Node can, from 22.15 on: no wrapper stays in memory. Else starts a child, passes
 * signals on, and ends as the child does.
 * @param {string} node
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
export function launch(node, args, env) {
  process.execve?.(node, [node, ...args], env);
  const child = spawn(node, args, { stdio: 'inherit', env });
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`expertd: ${node} does not start: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (signal ? constants.signals[signal] : 0);
  });
}
