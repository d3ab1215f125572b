/**
 * Formats of strings, each as a pattern. What matches is of the format by the RFC that JSON Schema names; not all that
 * is of the format matches: no leap seconds and no 29th of February, names of hosts and addresses of a usual length.
 */
const DATE =
  '[12]\\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))';
const CLOCK = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?';
const TIME = `${CLOCK}(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)`;
const SPAN = '(\\d{1,4}H(\\d{1,2}M(\\d{1,2}S)?)?|\\d{1,4}M(\\d{1,2}S)?|\\d{1,4}S)';
const DAYS = '(\\d{1,4}Y(\\d{1,2}M(\\d{1,2}D)?)?|\\d{1,4}M(\\d{1,2}D)?|\\d{1,4}D)';
const LABEL = '[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?';
const HOST = `${LABEL}(\\.${LABEL}){0,4}`;
const OCTET = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const HEX = '[0-9a-fA-F]';

export const FORMATS: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${TIME}$`,
  'date-time': `^${DATE}T${TIME}$`,
  duration: `^P(\\d{1,4}W|${DAYS}(T${SPAN})?|T${SPAN})$`,
  email: `^[a-zA-Z0-9_+-]{1,24}(\\.[a-zA-Z0-9_+-]{1,24}){0,2}@${LABEL}(\\.${LABEL}){0,2}\\.[a-z]{2,6}$`,
  hostname: `^${HOST}$`,
  ipv4: `^${OCTET}(\\.${OCTET}){3}$`,
  ipv6: `^(${HEX}{1,4}:){7}${HEX}{1,4}$`,
  uuid: `^${HEX}{8}(-${HEX}{4}){3}-${HEX}{12}$`,
  uri: `^https?://${HOST}(:[1-9]\\d{0,3})?(/[a-zA-Z0-9._~-]{1,40}){0,6}/?$`,
};
