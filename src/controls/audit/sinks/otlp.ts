import { setImmediate as breathe } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { Log } from '../../../core/log.ts';
import type { ExportFacts } from '../export/ocsf.ts';
import { otlpOf } from '../export/otlp.ts';
import type { OpenRecord } from '../reader/read.ts';
import { TryLater } from './following.ts';
import { KeptIntents } from './kept-intents.ts';
import type { RecordSender } from './sending.ts';

/** Records put into words without a pause: calls wait for a millisecond or two at most. */
const SLICE = 16;
const MOST_ANSWER_BYTES = 64 * 1024;
/** The request itself is wrong (OTLP: not to be sent again); what is wrong may be one record of it. */
const REFUSED = new Set([400, 413, 422]);
const LATER = new Set([429, 502, 503, 504]);

interface OtlpOptions {
  readonly name: string;
  readonly url: string;
  readonly bearer: string | null;
  readonly ca: Buffer | null;
  readonly timeoutMs: number;
  readonly facts: ExportFacts;
  readonly log: Log;
  readonly now: () => number;
}

/** OTLP/HTTP logs in JSON. A record that the collector alone refuses is left out, and said. */
export class OtlpSender implements RecordSender {
  readonly #options: OtlpOptions;
  readonly #agent: Agent;
  readonly #intents = new KeptIntents();
  readonly #headers: Record<string, string>;

  constructor(options: OtlpOptions) {
    this.#options = options;
    const { bearer, ca, timeoutMs: timeout } = options;
    const connect = { timeout, ...(ca && { ca }) };
    this.#agent = new Agent({ connections: 1, connect, headersTimeout: timeout, bodyTimeout: timeout });
    this.#headers = { 'content-type': 'application/json', ...(bearer && { authorization: `Bearer ${bearer}` }) };
  }

  async send(records: readonly OpenRecord[], signal: AbortSignal): Promise<void> {
    const status = await this.#post(await this.#body(records), signal);
    if (status < 300) return;
    if (records.length > 1) {
      const half = Math.ceil(records.length / 2);
      await this.send(records.slice(0, half), signal);
      await this.send(records.slice(half), signal);
      return;
    }
    const { origin, index } = records[0]!;
    const reason = `record ${index} of ${origin} is refused`;
    this.#options.log.error('the collector does not take a record; it is left out', {
      evidence: this.#options.name,
      status,
      reason,
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #body(records: readonly OpenRecord[]): Promise<Buffer> {
    const parts: string[] = [];
    for (let at = 0; at < records.length; at += SLICE) {
      if (at > 0) await breathe();
      const { resourceLogs } = otlpOf(records.slice(at, at + SLICE), this.#options.facts, this.#intents) as {
        resourceLogs: object[];
      };
      parts.push(...resourceLogs.map((logs) => JSON.stringify(logs)));
    }
    return Buffer.from(`{"resourceLogs":[${parts.join(',')}]}`);
  }

  /** The status, when it is final; otherwise it rejects. */
  async #post(body: Buffer, signal: AbortSignal): Promise<number> {
    const { url, name, log, timeoutMs } = this.#options;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const answer = await request(url, {
      method: 'POST',
      headers: this.#headers,
      body,
      dispatcher: this.#agent,
      signal: limit,
    });
    const { statusCode: status, headers } = answer;
    const text = await firstBytes(answer.body);
    if (REFUSED.has(status)) return status;
    if (LATER.has(status)) throw new TryLater(`the collector answers ${status}`, this.#waitOf(headers['retry-after']));
    if (status < 200 || status > 299) throw new Error(`the collector answers ${status}`);
    const rejected = rejectedIn(text);
    if (rejected > 0) log.warn('the collector left out records it was sent', { evidence: name, count: rejected });
    return status;
  }

  /** Seconds, or a date; ms. */
  #waitOf(header: string | string[] | undefined): number {
    const text = String(header ?? '');
    if (/^[0-9]{1,6}$/.test(text)) return Number(text) * 1_000;
    const date = Date.parse(text);
    return Number.isNaN(date) ? 0 : Math.max(0, date - this.#options.now());
  }
}

async function firstBytes(body: AsyncIterable<Buffer> & { destroy(): unknown }): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MOST_ANSWER_BYTES) {
      body.destroy();
      break;
    }
  }
  return Buffer.concat(chunks).toString('utf8', 0, MOST_ANSWER_BYTES);
}

function rejectedIn(text: string): number {
  try {
    return Number(
      (JSON.parse(text) as { partialSuccess?: { rejectedLogRecords?: unknown } })?.partialSuccess?.rejectedLogRecords ??
        0,
    );
  } catch {
    // Some answer with nothing at all.
    return 0;
  }
}
