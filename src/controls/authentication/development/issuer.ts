import { type ChildProcess, fork } from 'node:child_process';
import { InternalError } from '../../../core/internal-error.ts';
import { ensureDevelopmentCertificates } from './certificates.ts';
import { childEnvironment, childScript } from './child-script.ts';
import { ensureIssuerKeys } from './issuer-keys.ts';
import type { IssuerOrder } from './issuer-process.ts';

export interface DevelopmentIssuer {
  /** `https://localhost:PORT`: what tokens name as issuer. */
  readonly url: string;
  /** Resolves when the process has ended. */
  close(): Promise<void>;
}

const START_MS = 20_000;

/**
 * Starts the development issuer in its own process, which ends with ours. Makes certificates and keys where missing.
 * @param options.port 0 for any free one; a busy port moves to a free one, so read `url`
 * @param options.resources resources it issues tokens for; the first when a client names none
 * @throws InternalError `authentication.development_issuer` when it does not come up
 */
export async function startDevelopmentIssuer(options: {
  home: string;
  port: number;
  resources: readonly string[];
  scopes: readonly string[];
}): Promise<DevelopmentIssuer> {
  const { home, port, resources, scopes } = options;
  const certificate = await ensureDevelopmentCertificates(home);
  ensureIssuerKeys(home);
  const child = fork(childScript('issuer-process'), [], {
    execPath: process.execPath,
    execArgv: [],
    env: childEnvironment({ NODE_EXTRA_CA_CERTS: certificate.ca }),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const order: IssuerOrder = { home, port, resources, scopes, certificate };
  try {
    return { url: await untilReady(child, order), close: () => end(child) };
  } catch (cause) {
    await end(child);
    throw cause;
  }
}

function untilReady(child: ChildProcess, order: IssuerOrder): Promise<string> {
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2000);
  });
  return new Promise((done, fail) => {
    const failed = (why: string) => {
      clearTimeout(timer);
      const message = `the development issuer did not start: ${why} ${complaint.trim()}`.trim();
      fail(new InternalError('authentication.development_issuer', message, { kind: 'outage' }));
    };
    const timer = setTimeout(() => failed(`no answer in ${START_MS / 1000} s`), START_MS);
    child.once('error', (error) => failed(error.message));
    child.once('exit', (code) => failed(`it ended with ${code}.`));
    child.once('message', (answer: { ready?: string; failed?: string }) => {
      if (answer.ready === undefined) return failed(answer.failed ?? '');
      clearTimeout(timer);
      child.removeAllListeners('exit');
      // It must not keep us alive: when we end, the channel closes and it ends too.
      child.unref();
      child.channel?.unref();
      (child.stderr as unknown as { unref?(): void } | null)?.unref?.();
      done(answer.ready);
    });
    child.send(order);
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  child.ref();
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 2000);
  await ended;
  clearTimeout(timer);
}
