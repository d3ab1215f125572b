/** `expertd completion`: a script for a shell that completes commands, flags and the names of experts. */
import type { ExpertView } from '../service.ts';
import { findAgent } from './client.ts';
import { AGENT_FLAGS, parseFlags } from './flags.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];
/** Where the value of a flag is one of a kind that can be listed. */
const VALUES: Readonly<Record<string, Kind>> = {
  config: 'files',
  'state-dir': 'directories',
  'experts-dir': 'directories',
  expert: 'experts',
  model: 'models',
  key: 'files',
  'client-key': 'files',
  'password-file': 'files',
  ca: 'files',
  cert: 'files',
  db: 'files',
  file: 'files',
  keys: 'files',
  minisig: 'files',
  'public-key': 'files',
  set: 'files',
  out: 'files',
  import: 'files',
  dir: 'directories',
};
type Kind = 'files' | 'directories' | 'experts' | 'models';

/** The hidden call that scripts make: it must be quick, and is silent where no agent answers. */
const LIST_FLAG = 'experts';
const LIST_MS = 1_000;
/** bash expands what it is offered, so nothing but names of experts may get there, whatever answers. */
const PLAIN_WORD = /^[A-Za-z0-9][A-Za-z0-9_-]*$/;
const LIST_CALL = `completion --${LIST_FLAG} 2>/dev/null`;
const FLAGS = { url: AGENT_FLAGS.url, 'state-dir': AGENT_FLAGS['state-dir'] } as const;

/** What a shell must know of a command. */
interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly string[];
  readonly words: readonly string[];
  readonly of: 'experts' | 'files' | null;
}

/** `commands` are all others. */
export function completionCommand(commands: readonly Command[]): Command {
  const command: Command = {
    name: 'completion',
    summary: 'print a script that completes commands in a shell',
    words: { fixed: SHELLS },
    usage: `Usage: expertd completion bash|zsh|fish

Prints a script that completes commands, flags and, where an agent runs, the names of experts.

  bash:  source <(expertd completion bash)          in ~/.bashrc
  zsh:   source <(expertd completion zsh)           in ~/.zshrc, after compinit
  fish:  expertd completion fish | source           in ~/.config/fish/config.fish`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, { ...FLAGS, [LIST_FLAG]: { type: 'boolean' } });
      if (values[LIST_FLAG] === true) return listExperts(values, io);
      const [shell, ...more] = positionals;
      if (more.length > 0 || !isShell(shell))
        throw new CliError(EXIT.usage, 'for which shell?', `There are: ${SHELLS.join(', ')}.`);
      io.stdout.write(WRITERS[shell](entriesOf([...commands, command]), valueFlags(commands)));
      return EXIT.ok;
    },
  };
  return command;
}

function isShell(word: string | undefined): word is Shell {
  return SHELLS.some((shell) => shell === word);
}

async function listExperts(flags: { url?: string; 'state-dir'?: string }, io: Io): Promise<number> {
  try {
    const agent = findAgent(flags, io);
    const { value } = await agent.get<{ experts: ExpertView[] }>(
      '/expertd/v1/experts',
      AbortSignal.timeout(LIST_MS),
    );
    const ids = value.experts.map(({ id }) => id).filter((id) => PLAIN_WORD.test(id));
    io.stdout.write(ids.map((id) => `${id}\n`).join(''));
  } catch {
    // Somebody is in the middle of a command line: there is nothing to complete, and no place for an error.
  }
  return EXIT.ok;
}

function entriesOf(commands: readonly Command[]): Entry[] {
  const entries = commands.map(({ name, summary, flags = {}, words = {} }): Entry => {
    const names = [...Object.keys(flags), 'help'].map((flag) => `--${flag}`);
    return { name, summary, flags: names, words: words.fixed ?? [], of: words.of ?? null };
  });
  const help: Entry = {
    name: 'help',
    summary: 'say more about a command',
    flags: [],
    words: commands.map(({ name }) => name),
    of: null,
  };
  return [...entries, help];
}

/** The flags that take a value, and what that may be; null where it is anything. */
function valueFlags(commands: readonly Command[]): ReadonlyMap<string, Kind | null> {
  const found = commands.flatMap(({ flags = {} }) =>
    Object.entries(flags).filter(([, { type }]) => type === 'string'),
  );
  return new Map(found.map(([name]) => [name, VALUES[name] ?? null]));
}

type Writer = (entries: readonly Entry[], values: ReadonlyMap<string, Kind | null>) => string;
const WRITERS: Readonly<Record<Shell, Writer>> = { bash, zsh, fish };

/** Needs no package of completion helpers: devices seldom have one. "=" is a word of its own to bash. */
function bash(entries: readonly Entry[], values: ReadonlyMap<string, Kind | null>): string {
  const offer: Readonly<Record<Kind, string>> = {
    files: '_expertd_paths -f',
    directories: '_expertd_paths -d',
    experts: '_expertd_offer "$(_expertd_experts)"',
    models: '_expertd_offer "auto $(_expertd_experts)"',
  };
  const cases = [...values].map(
    ([name, kind]) => `    --${name}) ${kind === null ? ':' : offer[kind]}; return ;;\n`,
  );
  const commands = entries.map(({ name, flags, words, of }) => {
    const list = [...words, ...(of === 'experts' ? ['$(_expertd_experts)'] : [])].join(' ');
    const wordsOf = of === 'files' ? offer.files : list === '' ? ':' : `_expertd_offer "${list}"`;
    return `    ${name}) if [[ $cur == -* ]]; then _expertd_offer "${flags.join(' ')}"; else ${wordsOf}; fi ;;\n`;
  });
  return `# bash completion for expertd, made by "expertd completion bash".
_expertd_experts() { "\${COMP_WORDS[0]}" ${LIST_CALL}; }
_expertd_offer() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_expertd_paths() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen "$1" -- "$cur"); }
_expertd() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" flag="\${COMP_WORDS[COMP_CWORD - 1]}"
  COMPREPLY=()
  if [[ $cur == "=" ]]; then cur=""; elif [[ $flag == "=" ]]; then flag="\${COMP_WORDS[COMP_CWORD - 2]}"; fi
  if ((COMP_CWORD == 1)); then
    _expertd_offer "${entries.map(({ name }) => name).join(' ')} --help --version"
    return
  fi
  case "$flag" in
${cases.join('')}  esac
  case "\${COMP_WORDS[1]}" in
${commands.join('')}  esac
}
complete -F _expertd expertd
`;
}

function zsh(entries: readonly Entry[], values: ReadonlyMap<string, Kind | null>): string {
  const offer: Readonly<Record<Kind, string>> = {
    files: '_files',
    directories: '_files -/',
    experts: 'compadd -- $(_expertd_experts)',
    models: 'compadd -- auto $(_expertd_experts)',
  };
  const cases = [...values].map(
    ([name, kind]) => `    --${name}) ${kind === null ? ':' : offer[kind]}; return ;;\n`,
  );
  const summaries = entries.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}\n`);
  const commands = entries.map(({ name, flags, words, of }) => {
    const list = [...words, ...(of === 'experts' ? ['$(_expertd_experts)'] : [])].join(' ');
    const wordsOf = of === 'files' ? offer.files : list === '' ? ':' : `compadd -- ${list}`;
    return `    ${name}) if [[ $PREFIX == -* ]]; then compadd -- ${flags.join(' ')}; else ${wordsOf}; fi ;;\n`;
  });
  return `#compdef expertd
# zsh completion for expertd, made by "expertd completion zsh".
_expertd_experts() { "\${words[1]}" ${LIST_CALL} }
_expertd() {
  local flag="\${words[CURRENT - 1]}"
  local -a commands=(
${summaries.join('')}  )
  if ((CURRENT == 2)); then
    if [[ $PREFIX == -* ]]; then compadd -- --help --version; else _describe command commands; fi
    return
  fi
  if [[ $PREFIX == --*=* ]]; then flag="\${PREFIX%%=*}"; compset -P '*='; fi
  case "$flag" in
${cases.join('')}  esac
  case "\${words[2]}" in
${commands.join('')}  esac
}
if [[ \${funcstack[1]} == _expertd ]]; then _expertd "$@"; else compdef _expertd expertd; fi
`;
}

function fish(entries: readonly Entry[], values: ReadonlyMap<string, Kind | null>): string {
  const list = `(expertd ${LIST_CALL})`;
  const offer: Readonly<Record<Kind, string>> = {
    files: '-r -F',
    directories: "-x -a '(__fish_complete_directories)'",
    experts: `-x -a ${quoted(list)}`,
    models: `-x -a ${quoted(`auto ${list}`)}`,
  };
  const line = (condition: string, rest: string) => `complete -c expertd -n ${quoted(condition)} ${rest}\n`;
  const commands = entries.flatMap(({ name, summary, flags, words, of }) => {
    const inside = `__fish_seen_subcommand_from ${name}`;
    const named = flags.map((flag) => {
      const kind = values.get(flag.slice(2));
      const how = kind === undefined ? '' : kind === null ? ' -x' : ` ${offer[kind]}`;
      return line(inside, `-l ${flag.slice(2)}${how}`);
    });
    const choices = [...words, ...(of === 'experts' ? [list] : [])].join(' ');
    return [
      line('__fish_use_subcommand', `-a ${name} -d ${quoted(summary)}`),
      ...named,
      ...(choices === '' ? [] : [line(inside, `-a ${quoted(choices)}`)]),
      ...(of === 'files' ? [line(inside, '-F')] : []),
    ];
  });
  const general = ['help', 'version'].map((flag) => line('__fish_use_subcommand', `-l ${flag}`));
  return `# fish completion for expertd, made by "expertd completion fish".
complete -c expertd -f
${[...general, ...commands].join('')}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
