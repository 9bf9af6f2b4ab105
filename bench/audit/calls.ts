import { createHash } from 'node:crypto';
import type { Call, CallWith, Now } from '../../src/core/call.ts';
import { sha256Base64Url } from '../../src/core/crypto/digest.ts';
import { uuidv7 } from '../../src/core/ids.ts';

type Ready = CallWith<'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'findings' | 'approval'>;

/** Arguments of this many characters make the frame of an intent 2 KiB, the size the goals are given for. */
const ARGUMENT_CHARACTERS = 584;
const SUBJECTS = 64;

/** Calls as they come before the intent is recorded; no two are equal. Who calls and what decided is shared, as in caches. */
export class Calls {
  readonly #principals: readonly object[];
  readonly #decision: object;
  readonly #target: object;
  readonly #text: string;
  readonly #signal = new AbortController().signal;
  #count = 0;

  constructor(tenants: number) {
    const digest = sha256Base64Url('some definition');
    this.#target = { server: 'bench', key: 'bench/echo', digest, manifest: digest };
    this.#decision = {
      obligations: { approval: null, redaction: null, maxResultBytes: null },
      rules: ['people/use-tools-in-scope'],
      policy: digest,
      wouldRefuse: null,
    };
    this.#principals = Array.from({ length: SUBJECTS }, (_, i) => ({
      issuer: 'https://issuer.bench.test',
      subject: `caller-${i}@bench.test`,
      client: 'https://client.bench.test/metadata',
      tenant: `tenant-${i % tenants}`,
      scopes: ['bench:echo', 'everything:use', 's3:list'],
      groups: ['engineering', 'data-platform', 'on-call-europe'],
      proof: 'bearer',
      actors: [],
      expiresAt: Number.MAX_SAFE_INTEGER,
      key: sha256Base64Url(`key ${i}`),
      authority: sha256Base64Url(`authority ${i}`),
    }));
    this.#text = createHash('shake256', { outputLength: ARGUMENT_CHARACTERS / 2 })
      .update('text')
      .digest('hex');
  }

  next(now: Now): Ready {
    const count = this.#count++;
    const principal = this.#principals[count % SUBJECTS]! as Call['principal'] & { tenant: string };
    const bytes = Buffer.from(`{"nonce":"n${String(count).padStart(9, '0')}","text":"${this.#text}"}`);
    return {
      id: uuidv7(now.utc),
      way: 'http',
      arrived: now,
      signal: this.#signal,
      principal,
      message: { revision: '2026-07-28', method: 'tools/call', name: 'bench__echo' },
      target: { tenant: principal.tenant, ...this.#target },
      arguments: { view: {}, digest: sha256Base64Url(bytes), bytes: () => bytes },
      decision: this.#decision,
      findings: { list: [] },
      approval: { use: 'none', id: null, approvers: [], stored: null, approved: null },
    } as unknown as Ready;
  }
}
