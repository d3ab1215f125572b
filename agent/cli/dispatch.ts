/** From the words of a command line to a command: help, version, near misses, and how errors end. */
import { didYouMean } from '../nearest.ts';
import { type Additions, addCommand } from './add.ts';
import { ask } from './ask.ts';
import { chatCommand } from './chat.ts';
import { type Checks, checkCommand } from './check.ts';
import { decisions } from './decisions.ts';
import { doctorCommand } from './doctor.ts';
import { experts } from './experts.ts';
import { explain } from './explain.ts';
import { fleetCommand } from './fleet.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { printable } from './print.ts';
import { removeCommand } from './remove.ts';
import { route } from './route.ts';
import { status } from './status.ts';
import { top } from './top.ts';

/** All commands but `start`, which belongs to main.ts. `fleet`: further commands of that group. */
export function clientCommands(
  checks: Checks,
  additions: Additions,
  fleet: readonly Command[] = [],
): readonly Command[] {
  return [
    ask,
    chatCommand(),
    route,
    status,
    top,
    experts,
    addCommand(additions),
    removeCommand(additions),
    decisions,
    explain,
    checkCommand(checks),
    doctorCommand(checks),
    fleetCommand(fleet),
  ];
}

/**
 * Runs the command that `argv` names (without node and script) and resolves with its exit code. Never rejects: what
 * goes wrong is printed on stderr, a bug with its stack.
 */
export async function dispatch(
  argv: readonly string[],
  commands: readonly Command[],
  version: string,
  io: Io,
): Promise<number> {
  const [name, ...args] = argv;
  try {
    if (name === '--version' || name === '-V') return print(io, `expertd ${version}`);
    if (name === undefined || name === '--help' || name === '-h' || (name === 'help' && args.length === 0)) {
      const help = overview(commands, version);
      if (name !== undefined) return print(io, help);
      io.stderr.write(`${help}\n`);
      return EXIT.usage;
    }
    if (name === 'help') return print(io, within(args, commands).command.usage);
    const { command, rest } = within(argv, commands);
    if (wantsHelp(rest)) return print(io, command.usage);
    return await command.run(rest, io);
  } catch (error) {
    return fail(error, nameOf(argv, commands), io);
  }
}

/** The command that words name, or that of a group, and what follows. `path`: the words that led to `commands`. */
function within(
  words: readonly string[],
  commands: readonly Command[],
  path = 'expertd',
): { readonly command: Command; readonly rest: readonly string[] } {
  const [name = '', ...rest] = words;
  const command = commands.find((one) => one.name === name);
  if (command === undefined) {
    const names = commands.map((one) => one.name);
    const hint = `${didYouMean(name, names)} "${path} --help" lists the commands.`.trim();
    throw new CliError(EXIT.usage, `there is no command "${name}"`, hint);
  }
  const isGroup = command.commands !== undefined && rest[0] !== undefined && !rest[0].startsWith('-');
  return isGroup ? within(rest, command.commands, `${path} ${name}`) : { command, rest };
}

/** The words that name a command, as far as they do. */
function nameOf([first, second]: readonly string[], commands: readonly Command[]): string | undefined {
  const command = commands.find(({ name }) => name === first);
  const inner = command?.commands?.find(({ name }) => name === second);
  return inner === undefined ? command?.name : `${command?.name} ${inner.name}`;
}

/** Words after `--` are a question, not a flag. */
function wantsHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const flags = end < 0 ? args : args.slice(0, end);
  return flags.includes('--help') || flags.includes('-h');
}

function overview(commands: readonly Command[], version: string): string {
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`);
  return `expertd ${version}: keeps the right specialised models in memory, at the right moment

Usage: expertd COMMAND [FLAGS]

${lines.join('\n')}

"expertd COMMAND --help" says more; --version prints the version.
Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 no agent is running, 4 refused or no expert was confident.`;
}

function print(io: Io, text: string): number {
  io.stdout.write(`${text}\n`);
  return EXIT.ok;
}

function fail(error: unknown, name: string | undefined, io: Io): number {
  if (error instanceof CliError) {
    io.stderr.write(`expertd: ${printable(error.message)}\n`);
    if (error.hint !== null) io.stderr.write(`${error.hint}\n`);
    if (error.exitCode === EXIT.usage && name !== undefined) io.stderr.write(`See: expertd ${name} --help\n`);
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  io.stderr.write(`expertd: this is a bug: ${text}\n`);
  return EXIT.failed;
}
