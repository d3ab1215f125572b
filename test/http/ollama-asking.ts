/** Requests to Ollama's API, and its streams taken apart. */
export const GENERATE = '/api/generate';
export const CHAT = '/api/chat';
export const write = { model: 'writer', prompt: 'write' };

export const linesOf = (body: string) =>
  body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
