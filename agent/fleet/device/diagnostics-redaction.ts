/**
 * Takes out of a text or a value what must not leave the device: passwords, tokens and keys, what is secret in URLs, and
 * what people asked. The log holds none of it by rule; this is for what slipped through, in what a cell printed or a
 * system's error quotes. Rather too much is hidden than too little.
 */

const HIDDEN = '[hidden]';
/** Words in a name, as `dbPassword` or `http_token` has them, that make its value a secret. */
const SECRET_WORDS = [
  'api[_-]?key',
  'access[_-]?key',
  'authorization',
  'bearer',
  'cookie',
  'credential',
  'jwt',
  'passphrase',
  'passw(?:or)?d',
  'private[_-]?key',
  'pwd',
  'secret',
  'signature',
  'token',
].join('|');
/** Language models count tokens, and read `token_type_ids`; messages are refused for a `bad_signature`. */
const COUNTED = 'tokens|token[_-](?:type|ids|count)[_a-z]*|bad_signature|no_token';
const SECRET_NAME = String.raw`(?<![\w.-])(?![\w.-]*(?:${COUNTED})(?![\w.-]))[\w.-]*(?:${SECRET_WORDS})[\w.-]*`;
const IS_SECRET_NAME = new RegExp(`^${SECRET_NAME}$`, 'i');
/** Names of what is asked or answered. */
const SPOKEN_WORDS: ReadonlySet<string> = new Set([
  'answer',
  'body',
  'completion',
  'content',
  'focus',
  'input',
  'inputs',
  'messages',
  'prompt',
  'query',
  'question',
  'system',
  'text',
  'texts',
]);

export interface Redaction {
  /** Values that must not appear, whatever is around them. */
  readonly secrets: readonly string[];
}

/** Shorter ones would hide half of every sentence, and are guessed in no time. */
const LEAST_SECRET_CHARS = 4;

/** A copy with every text redacted, and what its name makes a secret hidden. */
export function redactValue(value: unknown, redaction: Redaction): unknown {
  if (typeof value === 'string') return redactText(value, redaction);
  if (Array.isArray(value)) return value.map((one) => redactValue(one, redaction));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      redactText(name, redaction),
      IS_SECRET_NAME.test(name) && one !== null && typeof one !== 'boolean'
        ? HIDDEN
        : redactValue(one, redaction),
    ]),
  );
}

/** A line of the log: JSON, or `10:11:12 info  message key=value`; perhaps with the priority that journald reads before it. */
export function redactLine(line: string, redaction: Redaction): string {
  const json = /^(?:<\d>)?(\{.*\})$/s.exec(line)?.[1];
  const value = json === undefined ? null : parsed(json);
  if (value === null) return redactText(withoutSpoken(line), redaction);
  return JSON.stringify(redactValue(silenced(value), redaction));
}

export function redactText(text: string, { secrets }: Redaction): string {
  const known = secrets.filter((secret) => secret.length >= LEAST_SECRET_CHARS);
  // As they are, and as they look in JSON or in a URL. The longest first: one may be part of another.
  const plain = known
    .flatMap((secret) => [
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret.toWellFormed()),
    ])
    .toSorted((a, b) => b.length - a.length)
    .reduce((at, secret) => at.replaceAll(secret, HIDDEN), text);
  return PATTERNS.reduce((at, hide) => hide(at), plain);
}

/** After a name: a quoted text, which may have been quoted once more (\\"), or all that is left of the line. */
const PAIR = new RegExp(
  String.raw`(${SECRET_NAME})(\\*["']?\s*[=:]\s*)(\\*"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\n]+)`,
  'gi',
);
const PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gs;
/** What proves the first keys of a device. */
const ENROLMENT_TOKEN = /expertd-[A-Za-z0-9_-]{43}/g;
const URL_LIKE = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s"<>]*)/gi;
const CREDENTIALS = /\b(Bearer|Basic|Digest)\s+[A-Za-z0-9._~+/=-]{4,}/gi;

const PATTERNS: readonly ((text: string) => string)[] = [
  (text) => text.replace(PEM, HIDDEN),
  (text) => text.replace(ENROLMENT_TOKEN, HIDDEN),
  (text) => text.replace(URL_LIKE, (_, scheme: string, rest: string) => scheme + bare(rest)),
  (text) => text.replace(CREDENTIALS, `$1 ${HIDDEN}`),
  (text) => text.replace(PAIR, `$1$2${HIDDEN}`),
];

/** What is after the scheme of a URL, without user and password, query and fragment: presigned ones hide there. */
function bare(rest: string): string {
  const place = rest.slice(rest.lastIndexOf('@') + 1);
  const end = place.search(/[?#]/);
  const path = end < 0 ? place : `${place.slice(0, end)}?${HIDDEN}`;
  return place === rest ? path : `${HIDDEN}@${path}`;
}

/** A copy without what was asked or answered. */
function silenced(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(silenced);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      name,
      SPOKEN_WORDS.has(name) && one !== null ? HIDDEN : silenced(one),
    ]),
  );
}

/** Of a line for people nobody knows where a text ends: it is cut where one begins. */
function withoutSpoken(line: string): string {
  const names = [...SPOKEN_WORDS].join('|');
  const start = new RegExp(String.raw`(?:^|[\s{,"'\\])(?:${names})\\*["']?\s*[=:]`).exec(line);
  return start === null ? line : `${line.slice(0, start.index + start[0].length)}${HIDDEN}`;
}

function parsed(json: string): object | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
