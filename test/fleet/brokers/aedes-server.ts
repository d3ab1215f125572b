/** The process that `aedes.ts` starts: aedes with one user, all in memory. Arguments: port, user, password. */
import { createServer } from 'node:net';
import { Aedes, type AuthenticateError } from 'aedes';

const [port = '0', user = '', password = ''] = process.argv.slice(2);
const WRONG_PASSWORD = 4;

const broker = await Aedes.createBroker({
  authenticate(_client, name, given, done) {
    if (name === user && given?.toString() === password) return done(null, true);
    const refusal = Object.assign(new Error('wrong password'), { returnCode: WRONG_PASSWORD });
    done(refusal as AuthenticateError, false);
  },
});
createServer(broker.handle).listen(Number(port), '127.0.0.1');
