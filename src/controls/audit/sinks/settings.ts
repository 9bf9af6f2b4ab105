import { z } from 'zod';
import { secretReference } from '../../../core/settings.ts';

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be a short name: a-z, 0-9 and -')
  .describe('Name of this sink, in reasons and log lines; where it had come to is remembered under it.');
const required = z
  .boolean()
  .default(false)
  .describe('Further calls are refused while this sink is behind by more than deadlineMs.');
const deadlineMs = (usual: number) =>
  z
    .int()
    .min(1_000)
    .max(86_400_000)
    .default(usual)
    .describe('How long a signed record may wait for a required sink, ms.');

const LOOPBACK = /^(localhost|127\.[0-9.]+|\[::1\])$/;

/** https, or http to this machine itself. */
const url = z.url({ protocol: /^https?$/, abort: true }).refine((text) => {
  const { protocol, hostname, username, password } = new URL(text);
  return (protocol === 'https:' || LOOPBACK.test(hostname)) && username === '' && password === '';
}, 'must be https (http on loopback only), without a user or password in it');

const folderSink = z
  .strictObject({
    kind: z.literal('folder').describe('A copy on another disk, byte for byte.'),
    name,
    required,
    deadlineMs: deadlineMs(5_000),
    path: z
      .string()
      .min(1)
      .describe(
        'A folder that exists, on another disk. The copy is `audit/<replica>` in it, ready for `audit verify`.',
      ),
  })
  .describe('A byte-for-byte copy on another disk; a log older than its copy does not start.');

const s3Sink = z
  .strictObject({
    kind: z.literal('s3').describe('A bucket with Object Lock.'),
    name,
    required,
    deadlineMs: deadlineMs(300_000),
    bucket: z.string().min(3).max(63).describe('Name of the bucket; Object Lock MUST be enabled on it.'),
    prefix: z
      .string()
      .regex(/^([A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*)?$/, 'must be a path without a slash at either end')
      .default('')
      .describe('Names in the bucket begin with this and a slash.'),
    region: z.string().default('us-east-1').describe('Region of the bucket.'),
    endpoint: url.optional().describe('Address of a server that speaks S3; without it, AWS. Names go into the path.'),
    accessKeyId: secretReference.optional().describe('env: or file:; without it, what the AWS SDK finds around it.'),
    secretAccessKey: secretReference.optional().describe('env: or file:; together with accessKeyId.'),
    retentionDays: z
      .int()
      .min(1)
      .max(36_500)
      .describe('How long nobody may delete an object, days. There is no default: it cannot be taken back.'),
    mode: z
      .enum(['COMPLIANCE', 'GOVERNANCE'])
      .default('COMPLIANCE')
      .describe('COMPLIANCE: nobody at all may delete earlier. GOVERNANCE: who holds a special permission may.'),
    compliance: z
      .boolean()
      .default(false)
      .describe('Says that COMPLIANCE is meant although the endpoint is on this machine (a bucket for trying out).'),
    everyMs: z
      .int()
      .min(100)
      .max(3_600_000)
      .default(60_000)
      .describe('How often new records are shipped, ms: each time makes objects that stay.'),
  })
  .refine(
    ({ accessKeyId, secretAccessKey }) => (accessKeyId === undefined) === (secretAccessKey === undefined),
    'accessKeyId and secretAccessKey belong together',
  )
  .refine(
    ({ endpoint, mode, compliance }) =>
      mode !== 'COMPLIANCE' || compliance || endpoint === undefined || !LOOPBACK.test(new URL(endpoint).hostname),
    'what is locked in COMPLIANCE mode can never be removed, and this endpoint is on this machine: set mode: GOVERNANCE, or compliance: true when you mean it',
  )
  .refine(
    ({ everyMs, deadlineMs: deadline, required: must }) => !must || deadline >= 2 * everyMs,
    'deadlineMs of a required sink must be at least twice everyMs',
  )
  .describe('A bucket with S3 Object Lock: nobody can delete or overwrite what is there.');

const otlpSink = z
  .strictObject({
    kind: z.literal('otlp').describe('OpenTelemetry logs over HTTP, JSON.'),
    name,
    url: url.describe('Where logs are posted, e.g. https://collector.example.com/v1/logs.'),
    bearer: secretReference.optional().describe('env: or file: with a token for the Authorization header.'),
    ca: z.string().optional().describe('PEM file with the certificate authority of the server, when it is your own.'),
    batchRecords: z.int().min(1).max(4_096).default(256).describe('Records in one request at most.'),
    timeoutMs: z.int().min(100).max(120_000).default(10_000).describe('How long one request may take, ms.'),
  })
  .describe('OTLP logs for a SIEM. Never holds a call up and never has one refused.');

const jsonlSink = z
  .strictObject({
    kind: z.literal('jsonl').describe('A file with one line for each record.'),
    name,
    path: z.string().min(1).describe('The file, made with mode 0600; renaming it makes a new one begin.'),
    format: z
      .enum(['ocsf', 'records', 'cef'])
      .default('ocsf')
      .describe('OCSF 1.8, the records as `audit show` has them, or lines of CEF (no JSON) for an old collector.'),
  })
  .describe('Lines in a file for a log shipper. Never holds a call up and never has one refused.');

export const sinksSettings = z
  .array(z.discriminatedUnion('kind', [folderSink, s3Sink, otlpSink, jsonlSink]))
  .max(8)
  .refine((list) => new Set(list.map((sink) => sink.name)).size === list.length, 'two sinks have the same name')
  .default([])
  .describe('Where the log is brought, behind the calls. The local journal is always the first.');

export type SinksSettings = z.output<typeof sinksSettings>;
export type SinkSettings = SinksSettings[number];
export type S3SinkSettings = Extract<SinkSettings, { kind: 's3' }>;
