import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { SettingsError } from '../../../core/internal-error.ts';
import type { OneWitness } from './settings.ts';
import { type Submission, submissionText } from './submission.ts';

/** What a witness may answer; everything else is an error that passes, or that somebody has to mend. */
export type Seen =
  | { readonly kind: 'cosigned'; readonly lines: string }
  | { readonly kind: 'other size'; readonly size: number }
  | { readonly kind: 'did not grow' };

const MAX_ANSWER = 16 * 1024;

/** Shows checkpoints to one witness, one after another over one connection. Its answers are attacker-controlled. */
export class WitnessClient {
  readonly #url: string;
  readonly #timeoutMs: number;
  readonly #agent: Agent;

  /** @throws SettingsError when the authority's certificate cannot be read */
  constructor({ url, ca }: OneWitness, timeoutMs: number) {
    this.#url = `${url.replace(/\/$/, '')}/add-checkpoint`;
    this.#timeoutMs = timeoutMs;
    this.#agent = new Agent({
      connections: 1,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      connect: ca === undefined ? {} : { ca: readCa(ca) },
    });
  }

  /** @throws Error when it cannot be reached, or answers something that is none of these */
  async show(submission: Submission, signal: AbortSignal): Promise<Seen> {
    const { statusCode, headers, body } = await request(this.#url, {
      dispatcher: this.#agent,
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: submissionText(submission),
      signal: AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]),
    });
    let text = '';
    for await (const chunk of body) {
      text += String(chunk);
      if (text.length > MAX_ANSWER) throw new Error('the answer of the witness is too long');
    }
    if (statusCode === 200) return { kind: 'cosigned', lines: text };
    if (statusCode === 422) return { kind: 'did not grow' };
    const size = /^(0|[1-9][0-9]{0,15})\n$/.exec(text)?.[1];
    if (statusCode === 409 && headers['content-type'] === 'text/x.tlog.size' && Number.isSafeInteger(Number(size)))
      return { kind: 'other size', size: Number(size) };
    throw new Error(`the witness answered ${statusCode}${MEANING[statusCode] ?? ''}`);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

const MEANING: Readonly<Record<number, string>> = {
  403: ': it does not know the key of this log; give it keys/audit.pub',
  404: ': it does not look after this log; give it keys/audit.pub',
};

function readCa(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SettingsError(`audit.witness.ca: ${path} cannot be read`, cause);
  }
}
