/** Puts what an expert says into words for people, or into JSON for programs that asked for it. */
import type { Answer, Label, Passage } from '../ports.ts';
import type { ExpertView } from '../service.ts';

export type Form = 'text' | 'json';

/** Labels below this probability are not worth a mention. */
const MENTION = 0.1;
/** Experts that are listed when none is confident. */
const LISTED = 20;
const LANGUAGE_TAG = /^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/;

/** The text of a reply. Embeddings and tensors have none and never come here. */
export function wordAnswer(answer: Answer, form: Form): string {
  switch (answer.kind) {
    case 'labels':
      return form === 'json' ? JSON.stringify(labelsJson(answer.labels)) : labelsText(answer.labels);
    case 'passages':
      return form === 'json' ? JSON.stringify({ passages: answer.passages }) : passagesText(answer.passages);
    case 'text':
      return form === 'json' ? asJsonObject(answer.text) : answer.text;
    case 'embeddings':
    case 'tensors':
      return '';
  }
}

/** Tasks that no question in words can be put to. */
const WORDLESS: ReadonlySet<string> = new Set(['feature-extraction', 'tensor']);
const NEARLY_AS_GOOD = 0.5;
const MAX_PASSAGES = 3;
/** Below this a passage is right about one time in three. */
const UNSURE = 0.3;

/** A request in a language that none of the experts has: that is worth saying. */
function whyLanguage(experts: readonly ExpertView[], language: string | null): string {
  if (language === null) return '';
  const primary = language.split('-')[0];
  const spoken = experts.some(({ languages }) => languages?.some((tag) => tag.split('-')[0] === primary));
  if (spoken) return '';
  const name = new Intl.DisplayNames('en', { type: 'language', fallback: 'code' }).of(language);
  return `, and none is made for ${name}`;
}

/** Says that no expert is confident, and what is installed. */
export function wordAbstention(
  experts: readonly ExpertView[],
  form: Form,
  language: string | null = null,
): string {
  const able = experts.filter(({ task, state }) => {
    return task !== null && !WORDLESS.has(task) && state !== 'fetching' && state !== 'failed';
  });
  if (form === 'json') {
    const installed = able.map(({ id, summary }) => ({ id, summary }));
    return JSON.stringify({
      abstained: true,
      label: null,
      score: null,
      alternatives: [],
      language,
      installed,
    });
  }
  if (able.length === 0)
    return 'No installed expert is confident that it can answer this: none is installed.';
  const lines = able.slice(0, LISTED).map(({ id, summary }) => `- ${id}: ${summary ?? 'no summary'}`);
  const more = able.length > LISTED ? [`- and ${able.length - LISTED} more`] : [];
  const head = `No installed expert is confident that it can answer this${whyLanguage(able, language)}. Installed:`;
  const tail = 'To ask one of them all the same, name it as the model.';
  return [head, ...lines, ...more, tail].join('\n');
}

function labelsJson(labels: readonly Label[]): object {
  const [best, ...alternatives] = labels;
  return { label: best?.label ?? null, score: best?.score ?? null, alternatives };
}

/** "Spanish (es), 97 %", and what else it may be where that is likely enough to matter. */
function labelsText(labels: readonly Label[]): string {
  const [best, ...rest] = labels;
  if (best === undefined) return 'The expert gave no label.';
  const nameOf = namer(labels);
  const say = ({ label, score }: Label) => `${nameOf(label)}, ${percent(score)}`;
  const others = rest.filter(({ score }) => score >= MENTION).slice(0, 3);
  return others.length === 0 ? say(best) : `${say(best)}; or ${others.map(say).join('; ')}`;
}

/** Labels are language tags when they all look like tags and most of them name a language. */
function namer(labels: readonly Label[]): (label: string) => string {
  const names = new Intl.DisplayNames('en', { type: 'language', fallback: 'none' });
  const languageOf = (label: string): string | undefined => {
    return LANGUAGE_TAG.test(label) ? names.of(label) : undefined;
  };
  const looksRight = labels.every(({ label }) => LANGUAGE_TAG.test(label));
  const named = labels.filter(({ label }) => languageOf(label) !== undefined).length;
  if (!looksRight || named * 2 <= labels.length) return (label) => label;
  return (label) => {
    const name = languageOf(label);
    return name === undefined ? label : `${name} (${label})`;
  };
}

/** Whole per cents; what is not certain is never shown as 100 %, nor what is possible as 0 %. */
export function percent(score: number): string {
  if (score >= 0.995 && score < 1) return 'over 99 %';
  if (score > 0 && score < 0.005) return 'under 1 %';
  return `${Math.round(score * 100)} %`;
}

/** The best passage, and those that are nearly as good: a reader wants the answer, not the list it was taken from. */
function passagesText(passages: readonly Passage[]): string {
  const [first] = passages;
  if (first === undefined) return 'The expert found nothing about this.';
  const shown = passages.filter(({ score }) => score >= first.score * NEARLY_AS_GOOD).slice(0, MAX_PASSAGES);
  const opening = first.score < UNSURE ? 'The closest that was found:\n\n' : '';
  if (shown.length === 1) return `${opening}${entry(first)}\n\nSource: ${first.source}`;
  const sources = [...new Set(shown.map(({ source }) => source))];
  const number = (source: string) => sources.indexOf(source) + 1;
  const texts = shown.map((passage) => `${entry(passage)} [${number(passage.source)}]`);
  const list = sources.map((source) => `[${number(source)}] ${source}`);
  return `${opening}${texts.join('\n\n')}\n\nSources:\n${list.join('\n')}`;
}

function entry({ title, text }: Passage): string {
  return title === '' ? text : `${title}: ${text}`;
}

/** Generated text as a JSON object: itself where it is one, else wrapped, so that a client can always parse it. */
function asJsonObject(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return text;
  } catch {
    // Not JSON: wrapped below.
  }
  return JSON.stringify({ text });
}
