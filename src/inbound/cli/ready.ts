import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a running gateway says of itself; one line of JSON with `--json`, and `<home>/run/ready.json` for other commands. */
export interface Ready {
  readonly ready: true;
  readonly mcp: string;
  readonly admin: string;
  /** Development issuer, or '' when people sign in elsewhere. */
  readonly issuer: string;
  /** Path of the PEM of the authority that signed the gateway's certificate. */
  readonly ca: string;
  /** Process id of the gateway. */
  readonly pid: number;
  /** Every resource a token may be made for. */
  readonly resources: readonly string[];
  /** Scopes of the catalogue that tools ask for. */
  readonly scopes: readonly string[];
}

const file = (home: string) => join(home, 'run', 'ready.json');

export function writeReady(home: string, ready: Ready): void {
  mkdirSync(join(home, 'run'), { recursive: true, mode: 0o700 });
  writeFileSync(`${file(home)}.tmp`, `${JSON.stringify(ready)}\n`, { mode: 0o600 });
  renameSync(`${file(home)}.tmp`, file(home));
}

/** Null when no gateway has said it is ready with this home. */
export function readReady(home: string): Ready | null {
  if (!existsSync(file(home))) return null;
  return JSON.parse(readFileSync(file(home), 'utf8')) as Ready;
}

export function removeReady(home: string): void {
  rmSync(file(home), { force: true });
}
