/** `expertd decisions`: the last choices, newest first. */
import type { DecisionRow } from '../service.ts';
import { findAgent } from './client.ts';
import { AGENT_FLAGS, AGENT_FLAGS_HELP, parseFlags, wholeNumber } from './flags.ts';
import { CliError, type Command, EXIT } from './io.ts';
import { duration, percent, table, time } from './print.ts';

const FLAGS = {
  ...AGENT_FLAGS,
  limit: { type: 'string' },
  expert: { type: 'string' },
  before: { type: 'string' },
} as const;

export const decisions: Command = {
  name: 'decisions',
  flags: FLAGS,
  summary: 'list the last decisions',
  usage: `Usage: expertd decisions [FLAGS]

  --limit N         how many, 1 to 1000; default 20
  --expert ID       only those that chose this expert
  --before N        only those with a smaller number
${AGENT_FLAGS_HELP}`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, FLAGS);
    const [stray] = positionals;
    if (stray !== undefined) {
      throw new CliError(
        EXIT.usage,
        `decisions takes no arguments: "${stray}"`,
        `One decision: expertd explain ${stray}`,
      );
    }
    const query = new URLSearchParams({ limit: '20' });
    if (values.limit !== undefined)
      query.set('limit', String(wholeNumber(values.limit, '--limit', 1, 1_000)));
    if (values.before !== undefined) {
      query.set('before', String(wholeNumber(values.before, '--before', 0, Number.MAX_SAFE_INTEGER)));
    }
    if (values.expert !== undefined) query.set('expert', values.expert);
    const { value, text } = await findAgent(values, io).get<{ decisions: DecisionRow[] }>(
      `/expertd/v1/decisions?${query}`,
    );
    io.stdout.write(values.json ? `${text}\n` : list(value.decisions));
    return EXIT.ok;
  },
};

function list(rows: readonly DecisionRow[]): string {
  if (rows.length === 0) return 'No decision is recorded.\n';
  const cells = rows.map((row) => [
    String(row.id),
    time(row.atMs),
    row.expert ?? '(abstained)',
    percent(row.confidence),
    row.router ?? '-',
    outcomeOf(row),
    duration(row.totalMs),
    row.reasons[0] ?? '',
  ]);
  const head = ['ID', 'TIME', 'EXPERT', 'CONFIDENCE', 'ROUTER', 'OUTCOME', 'TOOK', 'WHY'];
  return table(head, cells, ['ID', 'CONFIDENCE', 'TOOK']);
}

function outcomeOf({ ok }: DecisionRow): string {
  if (ok === null) return 'open';
  return ok ? 'ok' : 'failed';
}
