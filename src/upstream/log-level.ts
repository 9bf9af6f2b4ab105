import type { UpstreamRequest } from './request.ts';

/** Least to most severe (RFC 5424). */
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

const rank = (level: unknown): number => LOG_LEVELS.indexOf(level as LogLevel);

/** What this client wants to hear; null: nothing. */
export function levelOf({ client }: Pick<UpstreamRequest, 'client'>): LogLevel | null {
  return rank(client.logLevel) === -1 ? null : (client.logLevel as LogLevel);
}

/** True when a line of this level is for somebody who asked for `wanted` and what is more severe. */
export function isHeard(level: unknown, wanted: LogLevel): boolean {
  return rank(level) >= rank(wanted);
}

/** The most verbose of those in use. */
export function mostVerbose(levels: Iterable<LogLevel>): LogLevel | null {
  let least: number = LOG_LEVELS.length;
  for (const level of levels) least = Math.min(least, rank(level));
  return (LOG_LEVELS as readonly LogLevel[])[least] ?? null;
}
