/** `expertd add`: makes an expert of a folder that holds a model, and tells the running agent. */
import { toFailure } from '../errors.ts';
import type { ConfigChoice } from './check.ts';
import { findAgent } from './client.ts';
import { parseFlags, wholeNumber } from './flags.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { defaultStateDir, readOptions } from './options.ts';
import { bytes, printable } from './print.ts';

/** What can be done to the experts that are added by hand. All reject with an AgentError that names the fix. */
export interface Additions {
  add(wish: AddWish, where: ConfigChoice, tell: (line: string) => void): Promise<AddedExpert>;
  /** Takes it off the list of experts; its files stay until `tidy`. Rejects for an expert that is there otherwise. */
  remove(id: string, where: ConfigChoice): Promise<{ readonly stateDir: string; readonly wasThere: boolean }>;
  /** Removes the files of what was removed or replaced. */
  tidy(where: ConfigChoice): Promise<void>;
}

/** null where nothing was said. */
export interface AddWish {
  readonly folder: string;
  readonly id: string | null;
  readonly version: string | null;
  /** Path of the model in the folder. */
  readonly model: string | null;
  readonly summary: string | null;
  readonly license: string | null;
  readonly languages: readonly string[];
  readonly examples: readonly string[];
  /** Tokens of prompt and answer together. */
  readonly context: number | null;
  readonly replace: boolean;
  readonly dryRun: boolean;
}

export interface AddedExpert {
  readonly id: string;
  readonly version: string;
  readonly task: string;
  readonly license: string;
  readonly diskBytes: number;
  /** What it added to a process; null where the system does not say. */
  readonly residentBytes: number | null;
  /** What is reserved for keys and values of a language model. */
  readonly cache: { readonly tokens: number; readonly bytes: number };
  /** Whether the router has anything to choose it by. */
  readonly isRouted: boolean;
  /** Its expert.json. */
  readonly manifest: object;
  /** What was assumed, and what else there is. */
  readonly notes: readonly string[];
  /** False where it had been added before, just as it is. */
  readonly isNew: boolean;
  readonly stateDir: string;
}

const FLAGS = {
  id: { type: 'string' },
  version: { type: 'string' },
  model: { type: 'string' },
  summary: { type: 'string' },
  license: { type: 'string' },
  language: { type: 'string', multiple: true },
  example: { type: 'string', multiple: true },
  context: { type: 'string' },
  replace: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  config: { type: 'string' },
  'state-dir': { type: 'string' },
  'experts-dir': { type: 'string' },
} as const;

/** Flags that say where, for `add` and `remove`. */
export const PLACE_FLAGS_HELP = `  --state-dir DIR   where the agent keeps its state (EXPERTD_STATE_DIR)
  --config FILE     the agent's configuration (EXPERTD_CONFIG), which may name the state directory
  --experts-dir DIR folder of the experts that are there already (EXPERTD_EXPERTS_DIR)`;

export function addCommand(additions: Additions): Command {
  return {
    name: 'add',
    flags: FLAGS,
    words: { of: 'files' },
    summary: 'make an expert of a folder that holds a model',
    usage: `Usage: expertd add [FLAGS] FOLDER

FOLDER is a model as hubs keep it: config.json, tokenizer.json, tokenizer_config.json and an ONNX export, in onnx/ or
beside them. Language models (with a cache of keys and values), text classifiers and embedders are added by themselves;
a folder with an expert.json is taken as it is. The model is tried first: one that does not load or answer is not added.
What is needed is copied into the state directory. A running agent has the expert at once.

  --id ID           its name; default: that of the folder
  --version X.Y.Z   default: 1.0.0
  --model PATH      the ONNX file; default: 8 bits before 4 before 16 before 32
  --summary TEXT    what it is for, in a line
  --license SPDX    default: as README.md or LICENSE says
  --language TAG    a language of the requests that it answers; again for each. Default: as README.md says, else any
  --example TEXT    a request that it should answer, for the router to learn from; again for each
  --context N       most tokens of a request and its answer; default: as many as the model was made for
  --replace         put it in the place of the expert that has its id
  --dry-run         do all of it but the adding, and print the expert.json
${PLACE_FLAGS_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, FLAGS);
      const [folder, ...more] = positionals;
      if (folder === undefined || more.length > 0) throw new CliError(EXIT.usage, 'one folder at a time');
      const wish = wishOf(folder, values);
      const where = placeOf(values, io);
      const tell = (line: string): void => void io.stderr.write(printable(`${line}\n`));
      const added = await orFail(additions.add(wish, where, tell));
      if (wish.dryRun) {
        io.stdout.write(`${JSON.stringify(added.manifest, null, 2)}\n`);
        for (const note of added.notes) tell(`note: ${note}`);
        return EXIT.ok;
      }
      const agent = await tellAgent(added.stateDir, io);
      await orFail(additions.tidy(where));
      io.stdout.write(printable(report(added, agent)));
      return agent.problem === null ? EXIT.ok : EXIT.failed;
    },
  };
}

type Values = ReturnType<typeof parseFlags<typeof FLAGS>>['values'];

function wishOf(folder: string, values: Values): AddWish {
  const { version, context, example = [] } = values;
  if (version !== undefined && !/^\d+\.\d+\.\d+$/.test(version))
    throw new CliError(EXIT.usage, `--version must be of the form 1.2.3, not "${version}"`);
  return {
    folder,
    id: values.id ?? null,
    version: version ?? null,
    model: values.model ?? null,
    summary: values.summary ?? null,
    license: values.license ?? null,
    languages: values.language ?? [],
    examples: example.filter((text) => text.trim() !== ''),
    context: context === undefined ? null : wholeNumber(context, '--context', 8, 1_048_576),
    replace: values.replace ?? false,
    dryRun: values['dry-run'] ?? false,
  };
}

export function placeOf(
  values: { config?: string; 'state-dir'?: string; 'experts-dir'?: string },
  io: Io,
): ConfigChoice {
  const { configPath, overrides } = readOptions(values, io.env);
  return { configPath, overrides, stateDir: defaultStateDir(io.env) };
}

/** A refusal of ours is a refusal of the command. */
export async function orFail<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AgentError') throw error;
    const { message, hint } = toFailure(error);
    throw new CliError(EXIT.failed, message, hint);
  }
}

/** How telling the agent went. */
export interface Told {
  /** Whether an agent runs. */
  readonly running: boolean;
  /** Why it did not take what is new; null where it did, or none runs. */
  readonly problem: string | null;
}

/** Asks the agent of this state directory to look at its experts again. */
export async function tellAgent(stateDir: string, io: Io): Promise<Told> {
  try {
    await findAgent({ 'state-dir': stateDir }, io).post('/expertd/v1/reload', {});
    return { running: true, problem: null };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    if (error.exitCode === EXIT.notRunning) return { running: false, problem: null };
    return { running: true, problem: error.message };
  }
}

function report(added: AddedExpert, agent: Told): string {
  const { id, version, task, license, diskBytes, residentBytes, cache, notes, isNew } = added;
  const head = isNew ? `Added ${id} ${version}` : `${id} ${version} had been added before, just as it is`;
  const room =
    cache.tokens === 0
      ? ''
      : `; keys and values of ${cache.tokens} tokens take up to ${bytes(cache.bytes)} more`;
  const lines = [
    `${head}: ${task}, ${license}, ${bytes(diskBytes)} on the disk.`,
    residentBytes === null ? null : `In memory it takes ${bytes(residentBytes)}${room}.`,
    ...notes.map((note) => `Note: ${note}.`),
    ...usage(added),
    standing(agent),
  ];
  return lines.flatMap((line) => (line === null ? [] : [`${line}\n`])).join('');
}

function usage({ id, task, isRouted }: AddedExpert): string[] {
  if (task === 'text-generation')
    return [
      `Ask it: expertd ask --model ${id} 'Hello!'; talk to it: expertd chat --model ${id}`,
      `To let it answer what no specialist claims, and speak for medical, legal and computing, set "generalist": "${id}" in edge.config.json.`,
    ];
  if (task === 'feature-extraction') return [`Use it by name: "model": "${id}" at /v1/embeddings`];
  if (task === 'tensor') return [`Use it by name: POST /v2/models/${id}/infer`];
  return [
    `Ask it: expertd ask --model ${id} '...'`,
    ...(isRouted
      ? []
      : ['The router does not know when to choose it: add it again with --example TEXT, a few times.']),
  ];
}

function standing({ running, problem }: Told): string {
  if (problem !== null) return `The running agent did not take it: ${problem}`;
  return running ? 'The running agent has it.' : 'No agent is running; it will be there at the next start.';
}
