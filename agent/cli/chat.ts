/** `expertd chat`: a conversation in a terminal, or over a pipe: one message a line. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Sleep } from './answer.ts';
import { Blocks } from './blocks.ts';
import { ChatSession } from './chat-session.ts';
import { type AgentClient, findAgent } from './client.ts';
import { Conversation } from './conversation.ts';
import { AGENT_FLAGS, parseFlags, wholeNumber } from './flags.ts';
import { CliError, type Command, type Dialogue, EXIT, type Io } from './io.ts';
import { runSlash, SLASH_HELP } from './slash.ts';

const FLAGS = {
  url: AGENT_FLAGS.url,
  'state-dir': AGENT_FLAGS['state-dir'],
  model: { type: 'string' },
  system: { type: 'string' },
  temperature: { type: 'string' },
  'max-tokens': { type: 'string' },
  seed: { type: 'string' },
} as const;

const PROMPT = '> ';
const PROMPT_IN_BLOCK = '. ';
export function chatCommand(sleep: Sleep = (ms, signal) => wait(ms, undefined, { signal })): Command {
  return {
    name: 'chat',
    flags: FLAGS,
    summary: 'talk to the experts in the terminal',
    usage: `Usage: expertd chat [FLAGS]

A conversation with the experts of the running agent; what was said before goes along, its beginning only as long as the
model has room for it. Nothing of it is kept on the disk unless /save is used. Ctrl-C ends an answer, not the chat; Ctrl-D ends the chat. Lines that are pasted at once are one
message, as are those between two lines with """. Without a terminal, each line that comes in is a message; the answers
go out, and the first failure ends it.

  --model NAME      an expert's id; default: auto, which lets the router choose for each message
  --system TEXT     what a language model is told before all else
  --temperature N   0 to 2; 0 takes the likeliest words
  --max-tokens N    longest answer
  --seed N          the same questions with the same seed get the same answers
  --url URL         the agent's address; default: from agent.json in the state directory
  --state-dir DIR   where the agent keeps its state (EXPERTD_STATE_DIR)

In the chat:
${SLASH_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, FLAGS);
      if (positionals.length > 0)
        throw new CliError(EXIT.usage, 'chat takes no question', `expertd ask '${positionals.join(' ')}'`);
      const { temperature, seed } = values;
      const limit = values['max-tokens'];
      const conversation = new Conversation(values.model ?? 'auto', values.system ?? null, {
        ...(temperature === undefined ? {} : { temperature: decimal(temperature, '--temperature', 0, 2) }),
        ...(limit === undefined ? {} : { max_tokens: wholeNumber(limit, '--max-tokens', 1, 1_048_576) }),
        ...(seed === undefined ? {} : { seed: wholeNumber(seed, '--seed', 0, Number.MAX_SAFE_INTEGER) }),
      });
      const agent = findAgent(values, io);
      await checkModel(agent, conversation.model);
      const session = new ChatSession({ agent, io, conversation, sleep });
      const { dialogue } = io;
      return dialogue ? talk(session, dialogue) : hearLines(session, io);
    },
  };
}

function decimal(text: string, flag: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value >= least && value <= most) return value;
  throw new CliError(EXIT.usage, `${flag} must be a number from ${least} to ${most}, not "${text}"`);
}

/** A name that nobody has is said at once, and so is an agent that does not answer. */
async function checkModel(agent: AgentClient, model: string): Promise<void> {
  await agent.get(`/v1/models/${encodeURIComponent(model)}`);
}

async function talk(session: ChatSession, dialogue: Dialogue): Promise<number> {
  let answering: AbortController | null = null;
  // Under npm a Ctrl-C comes twice, from the terminal and from npm: the second finds nothing to end, and does nothing.
  const stopHearing = dialogue.onInterrupt(() => answering?.abort());
  session.greet();
  try {
    for await (const message of messagesFrom(dialogue, session)) {
      answering = new AbortController();
      const isOver = await handle(session, message, answering.signal).catch((error: unknown) => {
        if (!(error instanceof CliError)) throw error;
        session.complain(error);
        return false;
      });
      answering = null;
      if (isOver) break;
    }
  } finally {
    stopHearing();
  }
  return EXIT.ok;
}

/** Until Ctrl-D, or Ctrl-C twice where nothing is written. */
async function* messagesFrom(dialogue: Dialogue, session: ChatSession): AsyncGenerator<string> {
  const blocks = new Blocks();
  for (let isWarned = false; ; ) {
    const entered = await dialogue.read(blocks.isOpen ? PROMPT_IN_BLOCK : PROMPT);
    if (entered.kind === 'end') return session.note('');
    if (entered.kind === 'interrupt') {
      const discarded = blocks.drop() !== null || entered.discarded;
      if (isWarned && !discarded) return;
      isWarned = !discarded;
      if (isWarned) session.note('Ctrl-C again, or Ctrl-D, ends the chat.');
      continue;
    }
    isWarned = false;
    const message = blocks.take(entered.text);
    if (message !== null) yield message;
  }
}

/** The first failure ends it, by being thrown. A question that nobody could answer shows in the exit code. */
async function hearLines(session: ChatSession, io: Io): Promise<number> {
  const blocks = new Blocks();
  const never = new AbortController().signal;
  const hear = async (message: string | null): Promise<boolean> =>
    message !== null && (await handle(session, message, never));
  for await (const line of linesOf(io.stdin)) if (await hear(blocks.take(line))) return session.exitCode;
  await hear(blocks.drop());
  return session.exitCode;
}

async function* linesOf(stream: Io['stdin']): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of stream) {
    const pieces = (rest + (typeof part === 'string' ? part : decoder.decode(part, { stream: true }))).split(
      '\n',
    );
    rest = pieces.pop() ?? '';
    for (const piece of pieces) yield piece.replace(/\r$/, '');
  }
  const last = rest + decoder.decode();
  if (last !== '') yield last;
}

/** True where the chat is over. A second slash is for what begins with one and is no command. */
async function handle(session: ChatSession, message: string, signal: AbortSignal): Promise<boolean> {
  if (message.trim() === '') return false;
  const isCommand = message.startsWith('/') && !message.startsWith('//') && !message.includes('\n');
  if (isCommand) return runSlash(session, message);
  await session.say(message.replace(/^\/\//, '/'), signal);
  return false;
}
