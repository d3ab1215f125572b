/** `expertd explain`: one decision as a story, from the question to the outcome. */
import type { DecisionRow, Explanation } from '../service.ts';
import { type AgentClient, findAgent } from './client.ts';
import { AGENT_FLAGS, AGENT_FLAGS_HELP, parseFlags } from './flags.ts';
import { CliError, type Command, EXIT } from './io.ts';
import { bytes, duration, percent, printable, type Style, styleOf, table, time } from './print.ts';
import { candidateTable } from './route.ts';

export const explain: Command = {
  name: 'explain',
  flags: AGENT_FLAGS,
  summary: 'tell the whole story of one decision',
  usage: `Usage: expertd explain [FLAGS] [ID]

What was asked, who was considered, who was chosen and why, what was loaded and evicted for it, and how long
each stage took. ID is the number in x-expertd-decision; without one: the last decision.

${AGENT_FLAGS_HELP}`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, AGENT_FLAGS);
    const [id, ...more] = positionals;
    if (more.length > 0) throw new CliError(EXIT.usage, 'one decision at a time');
    if (id !== undefined && !/^\d+$/.test(id)) {
      throw new CliError(EXIT.usage, `a decision has a number, not "${id}"`, 'expertd decisions lists them.');
    }
    const agent = findAgent(values, io);
    const number = id ?? (await lastId(agent));
    const { value, text } = await agent.get<Explanation>(`/expertd/v1/decisions/${number}`);
    io.stdout.write(values.json ? `${text}\n` : story(value, styleOf(io)));
    return EXIT.ok;
  },
};

async function lastId(agent: AgentClient): Promise<number> {
  const { value } = await agent.get<{ decisions: DecisionRow[] }>('/expertd/v1/decisions?limit=1');
  const [last] = value.decisions;
  if (last !== undefined) return last.id;
  throw new CliError(EXIT.refused, 'no decision is recorded yet', 'expertd ask makes one.');
}

/** The parts of the story, in the order in which things happened; a part that is not known is left out. */
export function story(explanation: Explanation, style: Style): string {
  const parts: readonly (readonly [string, string])[] = [
    ['Asked', asked(explanation)],
    ['Considered', considered(explanation)],
    ['Chosen', chosen(explanation)],
    ['Memory', memory(explanation)],
    ['What happened', timeline(explanation)],
    ['Outcome', outcome(explanation)],
  ];
  const { id, atMs } = explanation.decision;
  const told = parts
    .filter(([, text]) => text !== '')
    .map(([title, text]) => `\n${style.bold(title)}\n${indent(printable(text))}`);
  return `${style.bold(`Decision ${id}`)}, ${time(atMs)}\n${told.join('')}`;
}

function asked({ asked }: Explanation): string {
  if (asked === null) return '';
  const language = asked.language === null ? '' : `, language ${asked.language}`;
  const text = asked.text === null ? 'The text was not kept (log.text is off).' : `"${asked.text}"`;
  return `${asked.chars} characters${language}, sha256 ${asked.sha256.slice(0, 12)}...\n${text}\n`;
}

function considered({ choice }: Explanation): string {
  if (choice === null) return '';
  if (choice.router === 'named') return 'Nobody else: the request named its expert.\n';
  if (choice.candidates.length === 0) return 'Nobody: no router had an opinion.\n';
  return candidateTable(choice);
}

function chosen(explanation: Explanation): string {
  const { decision, choice, policies } = explanation;
  if (!isChoice(explanation)) return '';
  const router = choice?.router ?? decision.router;
  const by = router === null || router === 'named' ? '' : ` by the router "${router}"`;
  const who =
    decision.expert === null
      ? 'Nobody: no expert was confident, so the agent abstained.\n'
      : `${decision.expert}${by}${decision.confidence === null ? '' : `, with ${percent(decision.confidence)}`}.\n`;
  const reasons = decision.reasons.map((reason) => `- ${reason}\n`).join('');
  const rules =
    policies === null
      ? ''
      : `Policies: router ${policies.router.join(', ')}; residency ${policies.residency}; combiner ${policies.combiner}.\n`;
  return who + reasons + rules;
}

function memory({ memory, residencyBefore, residencyAfter }: Explanation): string {
  const changes = Object.entries(residencyAfter ?? {})
    .filter(([id, state]) => residencyBefore !== null && residencyBefore[id] !== state)
    .map(([id, state]) => `${id}: ${residencyBefore?.[id] ?? 'unknown'} -> ${state}\n`);
  if (memory === null) return changes.join('');
  const free =
    memory.availableBytes === null ? '' : `; the device had ${bytes(memory.availableBytes)} available`;
  const head = `${bytes(memory.committedBytes)} of ${bytes(memory.budgetBytes)} were committed${free}; pressure ${memory.pressure}.\n${heat(memory)}`;
  return head + (changes.length === 0 ? 'No expert had to move.\n' : changes.join(''));
}

/** What the device's heat had to do with it; nothing where nothing is known. */
function heat({ temperatureCelsius, throttled, loadCost }: NonNullable<Explanation['memory']>): string {
  const parts = [
    ...(typeof temperatureCelsius === 'number' ? [`${temperatureCelsius.toFixed(1)} C`] : []),
    ...(throttled ?? []),
    ...(loadCost !== undefined && loadCost > 1 ? [`loads cost ${loadCost.toFixed(1)} times as much`] : []),
  ];
  return parts.length === 0 ? '' : `The device: ${parts.join(', ')}.\n`;
}

function timeline({ decision, timeline }: Explanation): string {
  return timeline
    .map(({ atMs, event, reasons, steps }) => {
      const when = `+${duration(Math.max(0, atMs - decision.atMs))}`.padStart(10);
      const told = [...reasons, ...steps.map((step) => `-> ${step}`)];
      const [first = '', ...rest] = told;
      const more = rest.map((line) => `${' '.repeat(12 + 14)}${line}\n`).join('');
      return `${when}  ${event.padEnd(14)}${first}\n${more}`;
    })
    .join('');
}

function outcome(explanation: Explanation): string {
  const { outcome, decision } = explanation;
  if (!isChoice(explanation)) return '';
  if (outcome === null) return 'Not known yet.\n';
  const { ok, failure, predictedLoadMs, loadMs } = outcome;
  const answered = decision.expert === null ? 'Answered that nobody knows.\n' : 'Answered.\n';
  const head = ok
    ? answered
    : `Failed: ${failure?.message ?? 'no reason given'} (${failure?.code ?? 'unknown'}).\n`;
  const hint = failure?.hint ? `${failure.hint}\n` : '';
  const load =
    loadMs === null
      ? ''
      : `The load took ${duration(loadMs)}; ${duration(predictedLoadMs)} had been predicted.\n`;
  return head + hint + load + stageTable(outcome.stages, decision.totalMs);
}

/** Other entries of the log, such as a load or a sample, have a number too; they choose nobody. */
function isChoice({ decision, choice, asked }: Explanation): boolean {
  return choice !== null || asked !== null || decision.expert !== null;
}

/** Stages as bars of their share of the whole: where the time went is seen at a glance. */
function stageTable(stages: Readonly<Record<string, number>>, tookMs: number | null): string {
  const { total = tookMs ?? Math.max(0, ...Object.values(stages)), ...parts } = stages;
  const bar = (ms: number) => '#'.repeat(total > 0 ? Math.round(Math.min(1, ms / total) * 30) : 0);
  const rows = Object.entries(parts).map(([name, ms]) => [name, duration(ms), bar(ms)]);
  return table(['STAGE', 'TIME', ''], [...rows, ['all', duration(total), '']], ['TIME']);
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
