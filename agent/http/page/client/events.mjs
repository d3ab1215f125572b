/** Server-sent events over fetch, which can send the token as a header; EventSource cannot. */

/** @typedef {{ readonly event: string, readonly data: string, readonly id: string }} ServerEvent */

/**
 * Yields events as they come; `onSign` is called for everything that comes, comments too.
 * @param {Response} response
 * @param {() => void} onSign
 * @returns {AsyncGenerator<ServerEvent>}
 */
export async function* readEvents(response, onSign) {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onSign();
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parse(block);
      if (event !== null) yield event;
    }
  }
}

/**
 * @param {string} block
 * @returns {ServerEvent | null} null for comments and bare fields
 */
function parse(block) {
  let event = 'message';
  let id = '';
  /** @type {string[]} */
  const data = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1).replace(/^ /, '');
    const field = line.slice(0, Math.max(0, colon));
    if (field === 'data') data.push(value);
    if (field === 'event') event = value;
    if (field === 'id') id = value;
  }
  return data.length === 0 ? null : { event, data: data.join('\n'), id };
}
