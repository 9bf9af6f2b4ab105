import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { InternalError } from '../../../core/internal-error.ts';
import { openSecret } from '../../../core/settings.ts';
import type { Kms } from './kms.ts';
import type { TransitSettings } from './settings.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 64 * 1024;

/** The transit engine of HashiCorp Vault and of OpenBao: `encrypt` and `decrypt`, with the context as associated data. */
export function transitKms(settings: TransitSettings): Kms {
  const ask = async (act: 'encrypt' | 'decrypt', body: Readonly<Record<string, string>>, member: string) => {
    const answer = await post(settings, act, body);
    const value = (answer as { data?: Record<string, unknown> } | null)?.data?.[member];
    if (typeof value !== 'string' || value === '') throw failed(settings, `${act} gave no ${member}`);
    return value;
  };
  return {
    async wrap(secret, context) {
      const wrapped = await ask(
        'encrypt',
        { plaintext: base64(secret), associated_data: base64(context) },
        'ciphertext',
      );
      if (/\s/.test(wrapped)) throw failed(settings, 'encrypt gave a ciphertext with a blank');
      return wrapped;
    },
    async unwrap(wrapped, context) {
      const plaintext = await ask('decrypt', { ciphertext: wrapped, associated_data: base64(context) }, 'plaintext');
      return Buffer.from(plaintext, 'base64');
    },
  };
}

/** Only the authority that is named is trusted, no redirect is followed, and the token goes nowhere else. */
async function post(settings: TransitSettings, act: string, body: object): Promise<unknown> {
  const { url, mount, key, token, namespace, ca } = settings;
  const dispatcher = new Agent({ connect: ca === undefined ? {} : { ca: readFileSync(ca) } });
  try {
    const { statusCode, body: stream } = await request(new URL(`/v1/${mount}/${act}/${key}`, url), {
      dispatcher,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-vault-token': openSecret(token).toString('utf8').trim(),
        'x-vault-request': 'true',
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
      },
      body: JSON.stringify(body),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    let text = '';
    for await (const chunk of stream) {
      text += String(chunk);
      if (text.length > MAX_ANSWER) throw failed(settings, 'the answer is too long');
    }
    // What it says in words may repeat what we sent: only the number is told.
    if (statusCode !== 200) throw failed(settings, `${act} was answered ${statusCode}`);
    return JSON.parse(text);
  } catch (cause) {
    if (cause instanceof InternalError) throw cause;
    throw failed(settings, 'it cannot be asked', cause);
  } finally {
    await dispatcher.destroy();
  }
}

function failed({ url, mount, key }: TransitSettings, what: string, cause?: unknown): InternalError {
  return new InternalError(
    'audit.kms',
    `the key management service at ${new URL(url).host} (${mount}/${key}): ${what}; the audit log cannot be opened without it`,
    { kind: 'outage', cause },
  );
}

const base64 = (value: string | Uint8Array) => Buffer.from(value).toString('base64');
