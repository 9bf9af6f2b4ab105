import { createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  inert,
  openTrust,
  readManifest,
  readPublicKeys,
  scanManifest,
  signManifest,
  type TrustStore,
  verifyManifest,
  writeWhole,
} from '../../controls/registry/index.ts';
import { openSigningKeys } from '../../core/crypto/keys.ts';
import { type Command, type Io, wrongUse } from './command.ts';

const usage = `usage: gatewrit manifest keygen [--home D] [--json]
       gatewrit manifest sign FILE [--home D] [--install | --out FILE]
       gatewrit manifest verify FILE [--home D | --key JWKS] [--json]

keygen  makes the operator key under <home>/keys if there is none, and prints its public half as a JWK Set
sign    checks a reviewed manifest and signs it; --install puts it where the gateway reads it
verify  says who signed a manifest, or everything that is wrong with it

options
  --home D     state folder (default .gatewrit)
  --install    write to <home>/registry/<server>.jws, replacing the pin that is there
  --out FILE   write the signature there instead of to stdout
  --key FILE   JWK Set of the public keys to trust instead of the operator key under the home
  --json       machine-readable answer

example
  gatewrit manifest keygen --home .gatewrit
  gatewrit manifest sign examples/quickstart/manifests/everything.json --home .gatewrit --install
`;

/** Keys, signatures and their verification; works without a running gateway. */
export const manifestCommand: Command = {
  name: 'manifest',
  summary: 'make keys, sign and verify manifests',
  usage,
  async run(argv: string[], io: Io): Promise<number> {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        home: { type: 'string', default: '.gatewrit' },
        install: { type: 'boolean', default: false },
        out: { type: 'string' },
        key: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const [verb, file, ...more] = positionals;
    if (values.help) {
      io.stdout(usage);
      return 0;
    }
    if (verb === 'keygen' && file === undefined) return keygen(values, io);
    if (file !== undefined && more.length === 0 && (verb === 'sign' || verb === 'verify')) {
      if (!existsSync(file)) {
        io.stderr(`gatewrit manifest: ${file} does not exist\n`);
        return 3;
      }
      return await (verb === 'sign' ? sign(file, values, io) : verify(file, values, io));
    }
    return wrongUse(io, 'manifest', 'say keygen, sign FILE or verify FILE');
  },
};

interface Options {
  readonly home: string;
  readonly install: boolean;
  readonly out?: string | undefined;
  readonly key?: string | undefined;
  readonly json: boolean;
}

function keygen({ home, json }: Options, io: Io): number {
  const keys = openSigningKeys({ folder: join(home, 'keys'), generate: true }, 'operator');
  const set = keys.flatMap((key) => (key ? [publicJwk(key.kid, key.publicKey)] : []));
  io.stdout(`${JSON.stringify({ keys: set }, null, json ? 0 : 2)}\n`);
  if (!json)
    io.stderr(`The private half lies in ${join(home, 'keys', 'operator.jwks')}; keep it, and keep it to yourself.\n`);
  return 0;
}

function publicJwk(kid: string, key: KeyObject): object {
  const { kty, crv, x } = createPublicKey(key.export({ type: 'spki', format: 'pem' })).export({ format: 'jwk' });
  return { kty, crv, x, kid, alg: 'EdDSA', use: 'sig' };
}

/** A person's review ends here: what is unclear is refused, with everything that is wrong in one go. */
async function sign(file: string, { home, install, out }: Options, io: Io): Promise<number> {
  const read = readManifest(readFileSync(file));
  if ('faults' in read) {
    for (const fault of read.faults) io.stderr(`${fault.code}: ${inert(fault.text)}\n`);
    io.stderr(`${file} was not signed; a draft needs an owner and a complete review (by, at, note).\n`);
    return 1;
  }
  const findings = scanManifest(read.manifest);
  if (findings.length > 0) {
    for (const finding of findings)
      io.stderr(`${finding.id}  ${inert(finding.item)} ${finding.path}: ${finding.what}\n`);
    io.stderr(
      `${file} was not signed. Look at each place; list the ids you let pass in review.accepted, or leave the item out.\n`,
    );
    return 1;
  }
  const token = `${await signManifest(read.raw, openSigningKeys({ folder: join(home, 'keys'), generate: false }, 'operator')[0])}\n`;
  const { server } = read.manifest;
  const target = install ? join(home, 'registry', `${server}.jws`) : out;
  if (target === undefined) io.stdout(token);
  else {
    if (install) mkdirSync(join(home, 'registry'), { recursive: true, mode: 0o700 });
    writeWhole(target, token);
    io.stderr(`signed ${server}: ${target}\n`);
  }
  return 0;
}

async function verify(file: string, { home, key, json }: Options, io: Io): Promise<number> {
  const trust: TrustStore =
    key === undefined
      ? openTrust({ folder: join(home, 'keys'), generate: false }, [])
      : new Map(readPublicKeys(key).map((one) => [one.kid, one.key]));
  const verified = await verifyManifest(readFileSync(file, 'latin1'), { trust, server: null, now: Date.now() });
  if ('faults' in verified) {
    if (json) io.stdout(`${JSON.stringify({ good: false, faults: verified.faults })}\n`);
    else for (const fault of verified.faults) io.stdout(`${fault.code}: ${inert(fault.text)}\n`);
    return 1;
  }
  const { manifest, digest, kid } = verified;
  const { server, version, owner, review, expires } = manifest;
  if (json) io.stdout(`${JSON.stringify({ good: true, server, version, owner, review, expires, digest, kid })}\n`);
  else {
    io.stdout(
      `good: ${server} ${inert(version)}, owner ${inert(owner)}, reviewed by ${inert(review.by)} at ${review.at}\n`,
    );
    io.stdout(`signed by ${inert(kid)}, digest ${digest}${expires === undefined ? '' : `, expires ${expires}`}\n`);
  }
  return 0;
}
