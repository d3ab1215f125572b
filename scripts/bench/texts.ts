/** Sentences of about nine words, none of them twice in a row: no cache should answer. */
const OPENINGS = [
  'How do I explain',
  'What can be done about',
  'When should one worry about',
  'Who first wrote about',
];
const SUBJECTS = [
  'a fast heartbeat',
  'the brakes of a bicycle',
  'an unpaid invoice',
  'the weather in spring',
  'old maps',
];
const ENDINGS = ['to a child of seven?', 'without much money?', 'before the end of May?'];

export function sentence(index: number): string {
  const pick = (list: readonly string[], step: number) => list[Math.floor(index / step) % list.length];
  return `${pick(OPENINGS, 1)} ${pick(SUBJECTS, OPENINGS.length)} ${pick(ENDINGS, OPENINGS.length * SUBJECTS.length)}`;
}
