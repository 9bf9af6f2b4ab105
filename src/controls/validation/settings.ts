import { z } from 'zod';
import { DEFAULT_SCAN_LIMITS } from '../../core/mcp/scanner.ts';

export const validationSettings = z
  .strictObject({
    mode: z
      .enum(['enforce', 'observe'])
      .default('enforce')
      .describe(
        'enforce refuses arguments that do not match the reviewed schema; observe lets them through and records would_refuse (shown as weak). Broken messages, sizes and admin operations are refused in both.',
      ),
    maxDepth: z
      .int()
      .min(8)
      .max(512)
      .default(DEFAULT_SCAN_LIMITS.maxDepth)
      .describe('Nesting of objects and arrays in one message.'),
    maxMembers: z
      .int()
      .min(100)
      .max(1_000_000)
      .default(DEFAULT_SCAN_LIMITS.maxMembers)
      .describe('Members of all objects of one message together.'),
    maxStringBytes: z
      .int()
      .min(1024)
      .default(DEFAULT_SCAN_LIMITS.maxStringBytes)
      .describe('Bytes of one string in a message.'),
    maxNumberBytes: z
      .int()
      .min(32)
      .max(4096)
      .default(DEFAULT_SCAN_LIMITS.maxNumberBytes)
      .describe('Characters of one number in a message.'),
    formats: z
      .enum(['assert', 'annotate'])
      .default('assert')
      .describe(
        '`assert`: date-time, date, time, email, hostname, ipv4, ipv6, uri and uuid must hold. `annotate`: no format is checked.',
      ),
    compiledSchemas: z.int().min(1).max(100_000).default(2_000).describe('Compiled definitions kept in memory.'),
  })
  .prefault({});

export type ValidationSettings = z.output<typeof validationSettings>;

/** What is relaxed, in the words `check`, console and records use. Empty: nothing. */
export function weakValidation(settings: ValidationSettings): readonly string[] {
  const weak: string[] = [];
  if (settings.mode === 'observe')
    weak.push('validation.mode is observe: arguments that break their schema go through');
  if (settings.formats === 'annotate') weak.push('validation.formats is annotate: formats in schemas are not checked');
  return weak;
}
