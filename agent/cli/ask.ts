/** `expertd ask`: a question, and its answer as it comes. */
import type { AgentClient } from './client.ts';
import { errorMessage, findAgent } from './client.ts';
import { readEvents } from './events.ts';
import { AGENT_FLAGS, AGENT_FLAGS_HELP, parseFlags, wholeNumber } from './flags.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { percent, printable, styleOf } from './print.ts';

/** The part of a completion, or of a stream's last chunk, that says who answered. */
interface Note {
  readonly decision: number;
  readonly expert: string | null;
  readonly confidence: number | null;
  readonly residency: string | null;
}

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string } }[];
  readonly expertd?: Note;
}

const FLAGS = { ...AGENT_FLAGS, model: { type: 'string' }, 'max-tokens': { type: 'string' } } as const;

export const ask: Command = {
  name: 'ask',
  flags: FLAGS,
  summary: 'ask a question and print the answer',
  usage: `Usage: expertd ask [FLAGS] QUESTION...
       expertd ask [FLAGS] QUESTION... - < FILE

Asks the running agent. A "-" stands for what comes on stdin, set off from the question by a fence.
A classifier answers about what is quoted, fenced, or after the question's colon.

  --model NAME      an expert's id; default: auto, which lets the router choose
  --max-tokens N    longest generated answer
${AGENT_FLAGS_HELP}`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, FLAGS);
    const content = await contentOf(positionals, io);
    const limit = values['max-tokens'];
    const body = {
      model: values.model ?? 'auto',
      messages: [{ role: 'user', content }],
      ...(limit === undefined ? {} : { max_tokens: wholeNumber(limit, '--max-tokens', 1, 1_048_576) }),
    };
    const agent = findAgent(values, io);
    const note = values.json ? await printJson(agent, body, io) : await printStream(agent, body, io);
    if (!values.json) sayWho(note, io);
    return note.expert === null ? EXIT.refused : EXIT.ok;
  },
};

async function contentOf(words: readonly string[], io: Io): Promise<string> {
  const question = words.filter((word) => word !== '-').join(' ');
  if (!words.includes('-')) {
    if (question.trim() !== '') return question;
    throw new CliError(EXIT.usage, 'what is the question?', 'expertd ask "what is tachycardia?"');
  }
  const piped = await readAll(io.stdin);
  return question === '' ? piped : `${question}\n\`\`\`\n${piped}\n\`\`\``;
}

async function readAll(stream: Io['stdin']): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of stream)
    text += typeof part === 'string' ? part : decoder.decode(part, { stream: true });
  return text + decoder.decode();
}

async function printJson(agent: AgentClient, body: object, io: Io): Promise<Note> {
  const { value, text } = await agent.post<{ expertd: Note }>('/v1/chat/completions', body);
  io.stdout.write(`${text}\n`);
  return value.expertd;
}

async function printStream(agent: AgentClient, body: object, io: Io): Promise<Note> {
  const response = await agent.stream('/v1/chat/completions', { ...body, stream: true });
  let note: Note | undefined;
  let last = '';
  for await (const { event, data } of readEvents(response)) {
    if (event === 'error') throw new CliError(EXIT.failed, errorMessage(data) ?? 'the answer broke off');
    if (data === '[DONE]') break;
    const chunk = JSON.parse(data) as Chunk;
    const piece = printable(chunk.choices[0]?.delta.content ?? '');
    if (piece !== '') {
      io.stdout.write(piece);
      last = piece;
    }
    note = chunk.expertd ?? note;
  }
  if (!last.endsWith('\n')) io.stdout.write('\n');
  if (note === undefined)
    throw new CliError(EXIT.failed, 'the answer broke off', 'The log of the agent says more.');
  return note;
}

/** Who answered goes to stderr, and only at a terminal: stdout is the answer. */
function sayWho(note: Note, io: Io): void {
  if (!io.isTTY) return;
  const { expert, confidence, residency, decision } = note;
  const who = expert === null ? 'no expert was confident' : `${expert}, chosen with ${percent(confidence)}`;
  const where = residency === null ? '' : `, was ${residency}`;
  io.stderr.write(styleOf(io).dim(`${who}${where}; why: expertd explain ${decision}`));
  io.stderr.write('\n');
}
