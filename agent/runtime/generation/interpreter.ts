/**
 * Runs the program of a template that came with a model from elsewhere. The language reaches nothing but its variables;
 * what is bounded here is how long it takes and how much it makes: a program that loops for ever ends after so many
 * steps, one that doubles a text or a list at its first large value, and one that keeps a single built-in function
 * busy when its time is up.
 */
import { createContext, Script } from 'node:vm';
import { Environment, Interpreter } from '@huggingface/jinja';

/** What is used of the library's interpreter; its own declarations cannot be resolved from ES modules. */
interface Evaluator {
  run(program: unknown): { readonly value: unknown };
  evaluate(statement: unknown, environment: unknown): { readonly value: unknown };
}
const LibraryInterpreter = Interpreter as unknown as new (environment: unknown) => Evaluator;

/** Templates of the hub take about 100 steps a message, 300 at most. */
const MOST_STEPS = 500_000;
const MOST_CHARS = 32 * 1024 ** 2;
const MOST_ITEMS = 50_000;

/** What the template did to be stopped. */
export class TemplateExcess extends Error {}

/** The text that the program makes. Throws TemplateExcess, and whatever the program raises. */
export function runTemplate(
  program: unknown,
  variables: Readonly<Record<string, unknown>>,
  timeoutMs: number,
): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) environment.set(name, value);
  return inTime(() => String(new BoundedInterpreter(environment).run(program).value), timeoutMs);
}

class BoundedInterpreter extends LibraryInterpreter {
  #steps = 0;

  override evaluate(statement: unknown, environment: unknown): { readonly value: unknown } {
    this.#steps += 1;
    if (this.#steps > MOST_STEPS) throw new TemplateExcess('it does not end');
    const result = super.evaluate(statement, environment);
    const { value } = result;
    if (typeof value === 'string' && value.length > MOST_CHARS)
      throw new TemplateExcess('it makes a text without end');
    if (Array.isArray(value) && value.length > MOST_ITEMS)
      throw new TemplateExcess('it makes a list without end');
    return result;
  }
}

/**
 * The time limit of `node:vm` ends whatever the script calls, code of this realm included. There is one context for
 * all templates: it holds nothing but a name for the work at hand.
 */
const clock: { work: () => void } = { work: () => {} };
const script = new Script('work()');
let context: object | null = null;

function inTime(work: () => string, timeoutMs: number): string {
  let result = '';
  clock.work = () => {
    result = work();
  };
  context ??= createContext(clock);
  try {
    script.runInContext(context, { timeout: timeoutMs });
  } catch (error) {
    // An error of the context's own realm: no instance of this one's Error.
    if (Object(error).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw new TemplateExcess(`it takes longer than ${timeoutMs} ms`);
    throw error;
  } finally {
    clock.work = () => {};
  }
  return result;
}

/** What templates of the hub count on beside their variables; the library's own `range` makes lists of any length. */
const GLOBALS = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  range: (first: number, second?: number, step = 1) =>
    second === undefined ? numbers(0, first, step) : numbers(first, second, step),
  strftime_now: (format: string) => formatTime(new Date(), format),
};

function numbers(from: number, to: number, step: number): number[] {
  const length = Math.max(0, Math.ceil((to - from) / step));
  // Not a number, too: a step of zero, or arguments that are none.
  if (!(length <= MOST_ITEMS)) throw new TemplateExcess('it counts without end');
  return Array.from({ length }, (_, at) => from + at * step);
}

const MONTHS = 'January February March April May June July August September October November December';
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday';

/** Python's strftime in the C locale: the words that models were trained on, whatever the device speaks. */
function formatTime(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const month = MONTHS.split(' ')[date.getMonth()] ?? '';
  const day = DAYS.split(' ')[date.getDay()] ?? '';
  const fields: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? 'AM' : 'PM',
    '%': '%',
  };
  return format.replace(/%(.)/g, (whole, name: string) => fields[name] ?? whole);
}
