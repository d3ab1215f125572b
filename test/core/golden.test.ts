/**
 * Golden decision files: whole stories of events and decisions, compared exactly. They are written for readers:
 * start with `test/golden/first-question.json`. `UPDATE_GOLDEN=1` rewrites them; read the difference before you keep it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mb } from '../../agent/failures.ts';
import { committedBytes } from '../../agent/residency.ts';
import type { Choice, State } from '../../agent/types.ts';
import { type Story, stories } from './stories.ts';
import { sayEvent, sayStep } from './story.ts';

const folder = new URL('../golden/', import.meta.url);
const update = process.env['UPDATE_GOLDEN'] === '1';

function sayChoice(choice: Choice | null): unknown {
  if (choice === null) return null;
  const { expert, router, confidence, predictedLoadMs } = choice;
  const candidates = choice.candidates.map(
    (candidate) => `${candidate.expert} ${candidate.score.toFixed(2)}: ${candidate.why}`,
  );
  const rounded = confidence === null ? null : Number(confidence.toFixed(3));
  return { expert, router, confidence: rounded, candidates, predictedLoadMs };
}

function tell({ about, given, play }: Story): string {
  const world = given();
  const first = { about, given: sayState(world.state), committedBytes: committedBytes(world.state) };
  const before = world.log.length;
  play(world);
  const rows = world.log.slice(before).map(({ event, decision }) => ({
    atMs: event.atMs,
    event: sayEvent(event),
    reasons: decision.reasons,
    steps: decision.steps.map(sayStep),
    choice: sayChoice(decision.choice),
    committedBytes: committedBytes(decision.state),
  }));
  return `${JSON.stringify([first, ...rows], null, 2)}\n`;
}

/** What there is, a line an expert. */
function sayState({ experts, settings }: State): string[] {
  const lines = [...experts.values()].map(({ expert, residency, uses }) => {
    const where = 'cell' in residency ? `${residency.state} in ${residency.cell}` : residency.state;
    return `${expert.id}: ${where}, ${mb(expert.memory.residentBytes)}, used ${uses} times${expert.pinned ? ', pinned' : ''}`;
  });
  return [`budget ${mb(settings.budgetBytes)}`, ...lines];
}

for (const [name, story] of Object.entries(stories)) {
  test(`golden: ${name}`, () => {
    const file = fileURLToPath(new URL(`${name}.json`, folder));
    const told = tell(story);
    if (update) writeFileSync(file, told);
    assert.deepEqual(JSON.parse(told), JSON.parse(readFileSync(file, 'utf8')));
  });
}

test('every golden file has its story', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  assert.deepEqual(
    files.sort(),
    Object.keys(stories)
      .map((name) => `${name}.json`)
      .sort(),
  );
});
