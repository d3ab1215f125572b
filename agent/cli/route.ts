/** `expertd route`: what the router would choose, without asking anybody. */
import type { Choice } from '../types.ts';
import { findAgent } from './client.ts';
import { AGENT_FLAGS, AGENT_FLAGS_HELP, parseFlags } from './flags.ts';
import { CliError, type Command, EXIT } from './io.ts';
import { duration, percent, styleOf, table } from './print.ts';

export const route: Command = {
  name: 'route',
  flags: AGENT_FLAGS,
  summary: 'show which expert would answer, without asking it',
  usage: `Usage: expertd route [FLAGS] QUESTION...

A dry run of the router: nothing is recorded, loaded or evicted.

${AGENT_FLAGS_HELP}`,

  async run(args, io) {
    const { values, positionals } = parseFlags(args, AGENT_FLAGS);
    const question = positionals.join(' ');
    if (question.trim() === '') throw new CliError(EXIT.usage, 'what is the question?');
    const { value: choice, text } = await findAgent(values, io).post<Choice>('/expertd/v1/route', {
      question,
    });
    if (values.json) io.stdout.write(`${text}\n`);
    else io.stdout.write(describe(choice, styleOf(io).bold));
    return choice.expert === null ? EXIT.refused : EXIT.ok;
  },
};

function describe(choice: Choice, bold: (text: string) => string): string {
  const { expert, confidence, router, predictedLoadMs } = choice;
  const load = predictedLoadMs > 0 ? `; it would be loaded first, in about ${duration(predictedLoadMs)}` : '';
  const head =
    expert === null
      ? 'No expert is confident: the agent would abstain.\n'
      : `${bold(expert)}, with ${percent(confidence)}, by the router "${router}"${load}.\n`;
  return choice.candidates.length === 0 ? head : `${head}\n${candidateTable(choice)}`;
}

/** The candidates, best first, the chosen one marked. */
export function candidateTable({ candidates, expert }: Choice): string {
  const rows = candidates.map((candidate) => [
    candidate.expert === expert ? '*' : '',
    candidate.expert,
    candidate.score.toFixed(3),
    percent(candidate.confidence),
    candidate.why,
  ]);
  return table(['', 'EXPERT', 'SCORE', 'CONFIDENCE', 'WHY'], rows, ['SCORE', 'CONFIDENCE']);
}
