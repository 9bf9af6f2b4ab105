import { type DestinationStream, type Logger, pino } from 'pino';

/** The fields a log line may bear. Everything else is dropped: an allow-list, because values of calls must never get here. */
export const LOG_FIELDS = [
  'call',
  'code',
  'stage',
  'evidence',
  'server',
  'target',
  'status',
  'ms',
  'count',
  'kind',
  'path',
  'address',
  'reason',
] as const;
export type LogField = (typeof LOG_FIELDS)[number];
export type LogFields = { readonly [F in LogField]?: string | number | boolean | null };

/** From the most to the least that is written. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields, cause?: unknown): void;
}

/** JSON lines on stderr; stdout belongs to the command. */
export function openLog(options: { level: string; to?: DestinationStream }): Log {
  const logger: Logger = pino(
    { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    // Bounded: lines are dropped, not hoarded, when nobody reads stderr.
    options.to ?? pino.destination({ dest: 2, sync: false, maxLength: 4 * 1024 * 1024 }),
  );
  return {
    info: (message, fields) => logger.info(allowed(fields), message),
    warn: (message, fields) => logger.warn(allowed(fields), message),
    error: (message, fields, cause) => logger.error({ ...allowed(fields), ...described(cause) }, message),
  };
}

/** For embedding and tests: a log that keeps nothing. */
export const silentLog: Log = { info() {}, warn() {}, error() {} };

function allowed(fields: LogFields | undefined): object {
  if (!fields) return {};
  return Object.fromEntries(
    LOG_FIELDS.flatMap((name) => (fields[name] === undefined ? [] : [[name, inert(fields[name])]])),
  );
}

/** Control characters never reach the log: no forged lines, no terminal escapes (threats.md T38). */
function inert(value: string | number | boolean | null): unknown {
  return typeof value === 'string' ? value.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\uFFFD').slice(0, 500) : value;
}

/** Name, code and stack of a thrown thing, and of what caused it; the operator's eyes only. */
function described(cause: unknown): object {
  if (cause === undefined) return {};
  if (!(cause instanceof Error)) return { error: inert(String(cause)) };
  const inner = cause.cause instanceof Error ? { cause: inert(cause.cause.stack ?? cause.cause.message) } : {};
  return { error: cause.stack ?? cause.message, ...inner };
}
