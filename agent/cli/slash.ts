/** What can be told to a chat itself: commands that begin with a slash. */
import { didYouMean } from '../nearest.ts';
import type { ExpertView, Explanation } from '../service.ts';
import { type ChatSession, fitted } from './chat-session.ts';
import { story } from './explain.ts';
import { CliError, EXIT } from './io.ts';
import { styleOf } from './print.ts';

interface Slash {
  readonly name: string;
  /** What follows it: a word for it, or nothing. */
  readonly takes: string | null;
  readonly summary: string;
  /** Resolves with true where the chat is over. */
  run(session: ChatSession, rest: string): Promise<boolean> | boolean;
}

const COMMANDS: readonly Slash[] = [
  { name: 'help', takes: null, summary: 'this list', run: help },
  { name: 'model', takes: 'ID', summary: 'talk to this expert; "auto" lets the router choose', run: model },
  { name: 'experts', takes: null, summary: 'who is there', run: experts },
  {
    name: 'system',
    takes: 'TEXT',
    summary: 'what a language model is told before all else; nothing takes it away',
    run: system,
  },
  { name: 'reset', takes: null, summary: 'forget what was said', run: reset },
  { name: 'save', takes: 'FILE', summary: 'write the conversation into a file', run: save },
  { name: 'load', takes: 'FILE', summary: 'go on with a conversation that was saved', run: load },
  { name: 'why', takes: null, summary: 'why this expert answered', run: why },
  { name: 'quit', takes: null, summary: 'end the chat', run: () => true },
];

export const SLASH_HELP = COMMANDS.map(
  ({ name, takes, summary }) => `  ${`/${name}${takes === null ? '' : ` ${takes}`}`.padEnd(15)} ${summary}`,
)
  .concat([
    '  """              begins and ends a message of several lines',
    '  //...            says what begins with a slash',
  ])
  .join('\n');

/** Resolves with true where the chat is over. Rejects with a CliError. */
export async function runSlash(session: ChatSession, line: string): Promise<boolean> {
  const [, name = '', rest = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? [];
  const command = COMMANDS.find((one) => one.name === name);
  if (command !== undefined) return command.run(session, rest.trim());
  const guess = didYouMean(
    name,
    COMMANDS.map((one) => one.name),
  )
    .replace(/"(?=\w)/g, '"/')
    .trim();
  throw new CliError(EXIT.usage, `there is no command /${name}`, `${guess} /help lists them.`.trim());
}

function help(session: ChatSession): boolean {
  session.show(`${SLASH_HELP}\n`);
  return false;
}

async function model(session: ChatSession, id: string): Promise<boolean> {
  const { agent, conversation } = session;
  if (id !== '') {
    await agent.get(`/v1/models/${encodeURIComponent(id)}`);
    conversation.model = id;
  }
  session.note(`You talk to ${conversation.model}.`);
  return false;
}

async function experts(session: ChatSession): Promise<boolean> {
  const { value } = await session.agent.get<{ experts: ExpertView[] }>('/expertd/v1/experts');
  const columns = session.io.dialogue?.columns() ?? Number.POSITIVE_INFINITY;
  const width = Math.max(0, ...value.experts.map(({ id }) => id.length));
  const lines = value.experts.map(({ id, state, summary }) =>
    fitted(`${id.padEnd(width)}  ${state.padEnd(8)}  ${summary ?? ''}`.trimEnd(), columns),
  );
  session.show(lines.length === 0 ? 'No expert is installed.\n' : `${lines.join('\n')}\n`);
  return false;
}

function system(session: ChatSession, text: string): boolean {
  session.conversation.system = text === '' ? null : text;
  session.note(text === '' ? 'Nothing is told before.' : 'It is told from the next message on.');
  return false;
}

function reset(session: ChatSession): boolean {
  session.conversation.reset();
  session.note('Nothing was said.');
  return false;
}

function save(session: ChatSession, path: string): boolean {
  session.conversation.save(needFile(path, 'save'));
  session.note(`Saved ${session.conversation.length} messages.`);
  return false;
}

function load(session: ChatSession, path: string): boolean {
  session.conversation.load(needFile(path, 'load'));
  session.note(`${session.conversation.length} messages; you talk to ${session.conversation.model}.`);
  return false;
}

async function why(session: ChatSession): Promise<boolean> {
  if (session.decision === null) throw new CliError(EXIT.usage, 'nobody was asked yet');
  const { value } = await session.agent.get<Explanation>(`/expertd/v1/decisions/${session.decision}`);
  session.io.stdout.write(story(value, styleOf(session.io)));
  return false;
}

function needFile(path: string, command: string): string {
  if (path !== '') return path;
  throw new CliError(EXIT.usage, 'which file?', `/${command} FILE`);
}
