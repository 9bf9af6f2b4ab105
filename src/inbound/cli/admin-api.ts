import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { InternalError } from '../../core/internal-error.ts';
import { type ClientCertificate, certificateDemand } from '../client-certificate.ts';
import type { Ready } from './ready.ts';

const TIMEOUT_MS = 15_000;

export interface AdminAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * One request to the admin API of a running gateway; POST with a body, GET without. Only the authority the gateway named
 * is trusted, and no redirect is followed: the token goes nowhere else.
 * @param certificate shown when the gateway asks for one
 */
export async function askAdmin(
  ready: Ready,
  token: string,
  path: string,
  sent: object | null,
  certificate?: ClientCertificate,
): Promise<AdminAnswer> {
  const url = new URL(path, ready.admin);
  if (url.protocol !== 'https:') throw new Error('its admin address is not https');
  const dispatcher = new Agent({
    connect: { ...(ready.ca === '' ? {} : { ca: readFileSync(ready.ca) }), ...certificate },
  });
  try {
    const { statusCode, body } = await request(url, {
      dispatcher,
      method: sent ? 'POST' : 'GET',
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(sent ? { 'content-type': 'application/json' } : {}),
      },
      body: sent ? JSON.stringify(sent) : null,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    return { status: statusCode, body: JSON.parse(await body.text()) as Record<string, unknown> };
  } catch (cause) {
    const demand = certificateDemand(cause, certificate !== undefined);
    throw demand === null ? cause : new InternalError('admin.certificate', demand, { kind: 'outage', cause });
  } finally {
    await dispatcher.close();
  }
}

/** A refusal of the admin API in one line. */
export function refusalText({ status, body }: AdminAnswer): string {
  const error = (body['error'] ?? {}) as { code?: unknown; message?: unknown; correlationId?: unknown };
  const known = typeof error.message === 'string' ? error.message : 'no reason given';
  const trace = typeof error.correlationId === 'string' ? ` (correlation id ${error.correlationId})` : '';
  return `${String(error.code ?? status)}: ${known}${trace}`;
}
