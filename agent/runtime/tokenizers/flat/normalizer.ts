/** Normalises a text, step by step. */
import type { NormalizeStep } from './settings.ts';

export type Normalize = (text: string) => string;

const NOT_ASCII = /[^\0-\x7f]/;

/** `space` matches white space. */
export function normalizerOf(steps: readonly NormalizeStep[], space: string): Normalize {
  const functions = steps.map((step) => functionOf(step, space));
  return (text) => functions.reduce((normal, step) => step(normal), text);
}

function functionOf(step: NormalizeStep, space: string): Normalize {
  switch (step.kind) {
    case 'form': {
      const unassigned = new RegExp(`(${step.unassigned}+)`, 'u');
      return (text) => {
        if (!NOT_ASCII.test(text)) return text;
        // Characters that the form does not know neither change nor join others, so what is between them is alone.
        const parts = text.split(unassigned);
        return parts.map((part, at) => (at % 2 === 0 ? part.normalize(step.form) : part)).join('');
      };
    }
    case 'lowercase': {
      const pattern = new RegExp(step.pattern, 'gu');
      // One by one: a sigma at the end of a word stays a common sigma.
      return (text) =>
        NOT_ASCII.test(text) ? text.replace(pattern, (char) => char.toLowerCase()) : text.toLowerCase();
    }
    case 'strip':
      return stripper(step.left, step.right, new RegExp(space, 'u'));
    case 'prepend':
      return (text) => (text === '' ? '' : step.text + text);
    case 'replace': {
      const pattern = new RegExp(step.pattern, 'gu');
      // A `$` stands for itself.
      const content = step.content.replaceAll('$', '$$$$');
      const replacement = step.around ? `${content}$&${content}` : content;
      const replace: Normalize = (text) => text.replace(pattern, replacement);
      return step.ascii ? replace : (text) => (NOT_ASCII.test(text) ? replace(text) : text);
    }
  }
}

/** White space is of single UTF-16 units. */
function stripper(left: boolean, right: boolean, space: RegExp): Normalize {
  return (text) => {
    let [start, end] = [0, text.length];
    while (left && start < end && space.test(text.charAt(start))) start += 1;
    while (right && start < end && space.test(text.charAt(end - 1))) end -= 1;
    return text.slice(start, end);
  };
}
