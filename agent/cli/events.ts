/** Server-sent events of a reply, as the HTML standard frames them (section 9.2.6), reduced to what an agent sends. */

export interface ServerEvent {
  /** `message` where the stream names none. */
  readonly event: string;
  readonly data: string;
  /** Empty where the event has none. */
  readonly id: string;
}

export async function* readEvents(response: Response): AsyncGenerator<ServerEvent> {
  let event = 'message';
  let id = '';
  let data: string[] = [];
  for await (const line of lines(response)) {
    if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n'), id };
      [event, data, id] = ['message', [], ''];
    } else if (line.startsWith('data:')) {
      data.push(line.slice(line.startsWith('data: ') ? 6 : 5));
    } else if (line.startsWith('event:')) {
      event = line.slice(6).trim();
    } else if (line.startsWith('id:')) {
      id = line.slice(3).trim();
    }
  }
}

async function* lines(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  let rest = '';
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    const pieces = (rest + part).split('\n');
    rest = pieces.pop() ?? '';
    for (const piece of pieces) yield piece.endsWith('\r') ? piece.slice(0, -1) : piece;
  }
}
