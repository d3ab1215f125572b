/** What the record keeps of what was asked: always its hash and its size, its text only where that is wanted. */

import type { Ask, Asked, NamedTensor } from './ports.ts';
import { describeTensor } from './tensors.ts';

export function askedOf(ask: Ask, sha256: (text: string) => string, keepsText: boolean): Asked {
  const text = textOf(ask);
  const whole = ask.kind === 'tensors' ? ask.inputs.map(contentOf).join('\n') : text;
  return { sha256: sha256(whole), chars: text.length, text: keepsText ? text : null };
}

/** Tensors are kept as what they were called and how large they were: their numbers are no text. */
function textOf(ask: Ask): string {
  switch (ask.kind) {
    case 'embeddings':
      return ask.texts.join('\n');
    case 'tensors':
      return ask.inputs.map((tensor) => `${tensor.name}: ${describeTensor(tensor)}`).join('\n');
    case 'chat':
      return ask.raw ?? ask.messages.map(({ role, content }) => `${role}: ${content}`).join('\n');
  }
}

/** A tensor whole, as text that no other tensor has. */
function contentOf(tensor: NamedTensor): string {
  const { name, data } = tensor;
  const content = ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
    : JSON.stringify(data);
  return `${JSON.stringify(name)} ${describeTensor(tensor)} ${content}`;
}
