/** A broker that is a program: started on a free port, waited for, killed, started again with what it kept. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Ports that it answers on when it is ready. */
  readonly ports: readonly number[];
  /** For its start. */
  readonly patienceMs: number;
}

export class RunningProgram {
  readonly #program: Program;
  #child: ChildProcess | null = null;
  #said = '';

  constructor(program: Program) {
    this.#program = program;
  }

  async start(): Promise<void> {
    const { file, args, env, ports, patienceMs } = this.#program;
    const child = spawn(file, [...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, to be killed whole: RabbitMQ is a shell that starts Erlang.
      detached: true,
    });
    this.#child = child;
    this.#said = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#said = `${this.#said}${chunk}`.slice(-4_000);
      });
    const deadline = performance.now() + patienceMs;
    for (const port of ports) await this.#answering(child, port, deadline);
  }

  /** With SIGKILL as a power cut would, or politely. Its ports are free after. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'close');
    process.kill(-child.pid, signal);
    await gone;
  }

  async #answering(child: ChildProcess, port: number, deadline: number): Promise<void> {
    while (!(await answers(port))) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (!ended && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 25));
        continue;
      }
      await this.stop('SIGKILL');
      throw new Error(`${this.#program.file} ${ended ? 'ended' : 'does not answer'}: ${this.#said}`);
    }
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    ports.push(address.port);
  }
  for (const server of servers) server.close();
  return ports;
}

/** The path of a program, sought in `folders` first and in what Debian keeps out of a user's PATH; null if there is none. */
export function findProgram(name: string, folders: readonly string[] = []): string | null {
  const path = [...folders, ...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  for (const folder of path) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // It is not in this one.
    }
  }
  return null;
}
