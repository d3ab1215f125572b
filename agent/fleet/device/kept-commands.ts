/**
 * What a device must remember of commands, in one file: which it took, so that none is carried out twice; those that
 * are not finished, so that the next process finishes them; and the results that the broker does not have yet.
 */
import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { readKept, writeKept } from '../../kept-file.ts';
import { checker } from '../../validation.ts';
import { type Command, CommandIdSchema, checkCommand, MAX_LIFE_SECONDS } from '../documents/command.ts';
import { readJson } from '../documents/json.ts';
import { COMMAND_STATES, type CommandState } from '../documents/shapes.ts';
import { type CommandMemory, type CommandResult, NO_COMMANDS, settle } from '../trust/admit-command.ts';

/** In the state directory. */
export const COMMANDS_FILE = join('fleet', 'commands.json');
/** 256 results, and as many commands, each of at most 128 KB, in a file that is ours: what is larger is damaged. */
const LIMITS = { maxBytes: 64 * 1_048_576, maxDepth: 32 };

const TextOrNull = Type.Union([Type.String(), Type.Null()]);
const FileSchema = Type.Object(
  {
    v: Type.Literal(1),
    results: Type.Array(
      Type.Object({
        id: CommandIdSchema,
        digest: Type.String(),
        exp: Type.Integer(),
        state: Type.Unsafe<CommandState>(Type.Union(COMMAND_STATES.map((state) => Type.Literal(state)))),
        reason: TextOrNull,
        detail: TextOrNull,
      }),
    ),
    counters: Type.Record(Type.String(), Type.Integer()),
    forgottenUntil: Type.Integer(),
    held: Type.Array(Type.Object({ command: Type.Object({}), signers: Type.Array(Type.String()) })),
    unsent: Type.Array(CommandIdSchema),
  },
  { additionalProperties: false },
);
const check = checker(FileSchema, { subject: COMMANDS_FILE });

/** An accepted command that is not finished. */
export interface Held {
  readonly command: Command;
  /** Ids of the keys that have signed it. */
  readonly signers: readonly string[];
}

interface Content {
  readonly memory: CommandMemory;
  readonly held: readonly Held[];
  /** Ids of finished commands whose result is to be said. */
  readonly unsent: readonly string[];
}

export class KeptCommands {
  readonly #path: string;
  #content: Content = { memory: NO_COMMANDS, held: [], unsent: [] };
  /** The file is older than what is in memory. */
  #isStale = false;

  constructor(stateDir: string) {
    this.#path = join(stateDir, COMMANDS_FILE);
  }

  get memory(): CommandMemory {
    return this.#content.memory;
  }

  get held(): readonly Held[] {
    return this.#content.held;
  }

  /** Results of finished commands that the broker does not have, oldest first. */
  get unsent(): readonly CommandResult[] {
    const { memory, unsent } = this.#content;
    return memory.results.filter(({ id }) => unsent.includes(id));
  }

  /**
   * Reads the file. One that is damaged is put aside, and answers why: then nobody knows what was carried out, and
   * nothing is taken that could have been sent before now (it expires later than any command that came until now).
   * Throws what the system says of a file that cannot be read.
   */
  open(nowMs: number): string | null {
    const text = readKept(this.#path);
    if (text === null) return null;
    try {
      this.#content = parse(text);
      return null;
    } catch (error) {
      const latestMs = Math.max(nowMs, statSync(this.#path).mtimeMs);
      const forgottenUntil = Math.ceil(latestMs / 1_000) + MAX_LIFE_SECONDS;
      this.#content = { ...this.#content, memory: { ...NO_COMMANDS, forgottenUntil } };
      this.#putAside();
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** On a full disk the damaged file stays, to be found again: what is in memory counts as long as this process. */
  #putAside(): void {
    try {
      copyFileSync(this.#path, `${this.#path}.damaged`);
      this.#write();
    } catch {
      this.#isStale = true;
    }
  }

  /** Takes a command: on the disk on return. Throws what the system says, and then it was not taken. */
  accept(memory: CommandMemory, held: Held): void {
    const before = this.#content;
    const ids = new Set(memory.results.map(({ id }) => id));
    // What was forgotten to make room is not to be finished either.
    const kept = before.held.filter(({ command }) => ids.has(command.id));
    this.#content = {
      memory,
      held: [...kept, held],
      unsent: before.unsent.filter((id) => ids.has(id)),
    };
    try {
      this.#write();
    } catch (error) {
      this.#content = before;
      throw error;
    }
  }

  /** It is being carried out; that it was begun need not outlive this process. */
  begin(id: string): void {
    const memory = settle(this.memory, id, { state: 'IN_PROGRESS', reason: null, detail: null });
    this.#content = { ...this.#content, memory };
  }

  /**
   * It is finished; `isSaid`: the broker has its result. On the disk on return. Throws what the system says: it is
   * finished in this process all the same.
   */
  finish(id: string, end: Pick<CommandResult, 'state' | 'reason' | 'detail'>, isSaid: boolean): void {
    const { memory, held, unsent } = this.#content;
    this.#content = {
      memory: settle(memory, id, end),
      held: held.filter(({ command }) => command.id !== id),
      unsent: isSaid ? unsent : [...unsent, id],
    };
    this.#write();
  }

  /** The broker has what was said of it, which may be its result. To be written with what comes next, or by `flush`: to say it twice does no harm. */
  sent(id: string, state: CommandState): void {
    const { memory, unsent } = this.#content;
    const isLast = memory.results.some((result) => result.id === id && result.state === state);
    if (!isLast || !unsent.includes(id)) return;
    this.#content = { ...this.#content, unsent: unsent.filter((one) => one !== id) };
    this.#isStale = true;
  }

  /** Throws what the system says. */
  flush(): void {
    if (this.#isStale) this.#write();
  }

  #write(): void {
    const { memory, held, unsent } = this.#content;
    this.#isStale = true;
    writeKept(this.#path, `${JSON.stringify({ v: 1, ...memory, held, unsent } satisfies Written)}\n`);
    this.#isStale = false;
  }
}

type Written = Omit<Static<typeof FileSchema>, 'results' | 'held' | 'unsent'> &
  CommandMemory &
  Omit<Content, 'memory'>;

/** Throws what is wrong with it. */
function parse(text: string): Content {
  const { value, problem } = check(readJson(Buffer.from(text), LIMITS));
  if (problem !== null) throw new Error(problem.message);
  const { results, counters, forgottenUntil, held, unsent } = value;
  return {
    memory: { results, counters, forgottenUntil },
    held: held.map(({ command, signers }) => ({ command: checkCommand(command), signers })),
    unsent,
  };
}
