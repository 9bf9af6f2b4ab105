import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { witnessLine } from '../../../core/crypto/cosignature.ts';
import type { NoteSigner } from '../../../core/crypto/signed-note.ts';
import { SettingsError } from '../../../core/internal-error.ts';

/** The private key of a witness in one line, as tools for signed notes write it: `PRIVATE+KEY+name+hash+base64(4 ‖ seed)`. */
const BEGIN = 'PRIVATE+KEY+';
const COSIGNATURE = 0x04;
const SEED_BYTES = 32;
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** @throws SettingsError when the name cannot stand in a note */
export function newKeyText(name: string): string {
  if (!/^[^\s+]{1,255}$/.test(name))
    throw new SettingsError(`the name of a witness has no blank and no plus: "${name}"`);
  const { privateKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_PREFIX.length);
  const signer = signerOf(name, seed);
  const [, hash] = publicLine(signer).slice(name.length).split('+');
  const typed = Buffer.concat([Buffer.from([COSIGNATURE]), seed]);
  return `${BEGIN}${name}+${hash}+${typed.toString('base64')}\n`;
}

/** @throws SettingsError when it is not such a line. What it says never repeats the line. */
export function readWitnessKey(text: string): NoteSigner {
  const match = /^PRIVATE\+KEY\+([^\s+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)\n?$/.exec(text);
  const typed = Buffer.from(match?.[3] ?? '', 'base64');
  if (!match || typed.length !== 1 + SEED_BYTES || typed[0] !== COSIGNATURE) throw malformed();
  const signer = signerOf(match[1]!, typed.subarray(1));
  if (!publicLine(signer).startsWith(`${signer.name}+${match[2]}+`)) throw malformed();
  return signer;
}

/** What others are given: `name+hash+key`. */
export function publicLine(signer: NoteSigner): string {
  return witnessLine(signer.name, signer.publicKey);
}

function signerOf(name: string, seed: Uint8Array): NoteSigner {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  return { name, privateKey, publicKey: createPublicKey(privateKey) };
}

function malformed(): SettingsError {
  return new SettingsError('the key of the witness is not a line PRIVATE+KEY+name+hash+key; --init makes one');
}
