import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { newWitnessKey, openWitness, parseWitnessedLog } from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { openSecret } from '../../../core/settings.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';

export const witnessAction: Action = {
  usage: `usage: gatewrit audit witness --init --name NAME --key FILE
       gatewrit audit witness --listen HOST:PORT --state FOLDER --key FILE --log VKEY[:ORIGIN] ...

A witness looks at the checkpoints of logs and cosigns one only when it grew from the one before (C2SP tlog-witness
v1.0.0). It sees sizes and hashes, never a record. Run it where the gateway's operator has no say: who holds both can
still write history anew.

options
  --init              make the key, print its public line (audit.witness.key of the gateway) and end
  --name NAME         of the witness, e.g. witness.example.org/w1: no blank, no plus
  --key FILE          its private key
  --listen HOST:PORT  where it answers, e.g. 127.0.0.1:7380; port 0: any
  --state FOLDER      what it has seen; without it it would cosign everything anew, so keep it
  --log VKEY[:ORIGIN] a line of a gateway's keys/audit.pub and which origins it may sign for; an ORIGIN that ends with /
                      means all that begin with it (default: NAME OF THE KEY/). Repeatable, or several lines in one: logs, and
                      keys of one log
  --max-origins N     origins remembered at most (default 10000)
  --tls-cert FILE     certificate chain and key, PEM; without them plain HTTP, for loopback or behind a proxy
  --tls-key FILE
  --json              machine-readable answer

exit: 0 ended in order, 2 wrong use, 3 could not run

example
  gatewrit audit witness --init --name witness.example.org/w1 --key witness.key
  gatewrit audit witness --listen 127.0.0.1:7380 --state seen --key witness.key --log "$(cat audit.pub)"
`,
  options: {
    init: { type: 'boolean' },
    name: { type: 'string' },
    key: { type: 'string' },
    listen: { type: 'string' },
    state: { type: 'string' },
    log: { type: 'string', multiple: true },
    'max-origins': { type: 'string' },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
  },
  run(given, io) {
    if (!textOf(given, 'key')) return '--key is missing';
    const tooMany = surplus(given);
    if (tooMany !== null) return tooMany;
    return given.values['init'] === true ? init(given, io) : serve(given, io);
  },
};

function init(given: Given, io: Io): number | string {
  const name = textOf(given, 'name');
  const path = resolve(textOf(given, 'key')!);
  if (!name) return '--name is missing';
  if (existsSync(path)) throw cannot(`${path} is there already, and a key is never replaced by accident`);
  const line = newWitnessKey(name, path);
  io.stdout(given.json ? `${JSON.stringify({ key: path, line })}\n` : `${line}\n`);
  return 0;
}

async function serve(given: Given, io: Io): Promise<number | string> {
  const address = /^(?:\[([0-9a-f:]+)\]|([^:\s]+)):([0-9]{1,5})$/.exec(textOf(given, 'listen') ?? '');
  const state = textOf(given, 'state');
  const maxOrigins = Number(textOf(given, 'max-origins') ?? 10_000);
  const named = given.values['log'];
  const logs = (Array.isArray(named) ? named : []).flatMap((text) => text.trim().split('\n').map(parseWitnessedLog));
  const cert = textOf(given, 'tls-cert');
  const key = textOf(given, 'tls-key');
  if (!address) return '--listen takes HOST:PORT';
  if (!state) return '--state is missing';
  if (logs.length === 0 || logs.some((log) => log === null))
    return '--log takes lines of keys/audit.pub, with :ORIGIN behind them or not';
  if (!Number.isSafeInteger(maxOrigins) || maxOrigins < 1) return '--max-origins takes a number';
  if ((cert === undefined) !== (key === undefined)) return '--tls-cert and --tls-key belong together';
  const witness = await openWitness({
    keyText: openSecret(`file:${resolve(textOf(given, 'key')!)}`).toString('utf8'),
    logs: logs.filter((log) => log !== null),
    state: resolve(state),
    maxOrigins,
    host: address[1] ?? address[2]!,
    port: Number(address[3]),
    tls: cert && key ? { cert: readText(cert), key: readText(key) } : null,
    say: (line) => io.stderr(`${line}\n`),
  });
  const { url, line } = witness;
  if (given.json) io.stdout(`${JSON.stringify({ url, key: line, state: join(resolve(state), 'seen') })}\n`);
  else io.stdout(`witness at ${url}\nkey: ${line}\n`);
  await new Promise<void>((ended) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended());
  });
  await witness.close();
  return 0;
}

function readText(path: string): string {
  try {
    return readFileSync(resolve(path), 'utf8');
  } catch (cause) {
    throw cannot(`${path} cannot be read`, cause);
  }
}

function cannot(what: string, cause?: unknown): InternalError {
  return new InternalError('audit.cannot_open', what, { kind: 'outage', cause });
}
