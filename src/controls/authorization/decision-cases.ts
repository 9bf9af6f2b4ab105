import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { type CallWith, EFFECTS, type Message, type Principal, TARGET_KINDS, type Target } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { readSection } from '../../core/settings.ts';
import { Answer, Refusal } from '../../core/stage.ts';
import type { Authorization } from './authorization.ts';

/**
 * Policy decisions as data: anyone can add one, and `gatewrit policy test` plays it through the same two stages a
 * call goes through. One YAML document is one decision; a file may hold several, divided by `---`.
 */
export const VERDICTS = ['allowed', 'unknown', 'insufficient_scope', 'denied', 'unavailable'] as const;
export type Verdict = (typeof VERDICTS)[number];

const names = z.array(z.string()).default([]);
const person = z.strictObject({ issuer: z.string().default('https://issuer.example'), subject: z.string() });

export const principalShape = z.strictObject({
  subject: z.string().default('alice'),
  issuer: z.string().default('https://issuer.example'),
  client: z.string().default('client'),
  tenant: z.string().default('default'),
  scopes: names,
  groups: names,
  proof: z.enum(['bearer', 'dpop', 'mtls', 'none']).default('bearer'),
  actors: z.array(person).default([]),
});

export const targetShape = z.strictObject({
  server: z.string(),
  name: z.string(),
  kind: z.enum(TARGET_KINDS).default('tool'),
  effect: z.enum(EFFECTS).default('read'),
  scopes: z.array(z.string()),
  tenant: z.string().default('default'),
});

const expectation = z.strictObject({
  verdict: z.enum(VERDICTS),
  approval: z.string().optional(),
  redaction: z.string().optional(),
  maxResultBytes: z.number().optional(),
  wouldRefuse: z.string().optional(),
  rules: z.array(z.string()).optional(),
  text: z.string().optional(),
  path: z.string().optional(),
  scopes: z.array(z.string()).optional(),
});

const caseShape = z.strictObject({
  description: z.string().min(1),
  principal: principalShape.prefault({}),
  /** Null: a name that does not exist. */
  target: targetShape.nullable(),
  arguments: z.record(z.string(), z.unknown()).default({}),
  at: z.iso.datetime().default('2026-01-01T12:00:00Z'),
  expect: z.union([z.enum(VERDICTS).transform((verdict) => ({ verdict })), expectation]),
});
export type DecisionCase = z.output<typeof caseShape>;

/** What came of it, in the words of a decision case. */
export interface Rehearsal {
  readonly verdict: Verdict;
  readonly approval?: string;
  readonly redaction?: string;
  readonly maxResultBytes?: number;
  readonly wouldRefuse?: string;
  readonly rules?: readonly string[];
  readonly text?: string;
  readonly path?: string;
  readonly scopes?: readonly string[];
  /** For people only; not compared. */
  readonly evidence?: string;
}

/** @throws SettingsError naming the file and what is wrong with which document */
export function readDecisionCases(file: string, text: string): DecisionCase[] {
  const documents = parseAllDocuments(text, { uniqueKeys: true, strict: true });
  if (!Array.isArray(documents)) throw new SettingsError(`${file}: holds no decision`);
  return documents.map((document, index) => {
    const fault = document.errors[0];
    if (fault) throw new SettingsError(`${file}: ${fault.message}`, fault);
    return readSection(`${file}#${index + 1}`, caseShape, document.toJS({ maxAliasCount: 0 }));
  });
}

type Question = Pick<DecisionCase, 'principal' | 'target' | 'arguments' | 'at'>;

/** Plays one question through both stages, in their order. Touches nothing but the policy. */
export async function rehearse(authorization: Authorization, asked: Question): Promise<Rehearsal> {
  const utc = Date.parse(asked.at);
  const now = { utc, mono: 0 };
  const candidate = { target: asked.target && targetOf(asked.target) };
  const call = {
    principal: principalOf(asked.principal),
    message: { method: METHODS[asked.target?.kind ?? 'tool'] } as Message,
    candidate,
    arguments: {
      view: asked.arguments,
      digest: sha256Base64Url(JSON.stringify(asked.arguments)),
      bytes: () => Buffer.from(JSON.stringify(asked.arguments)),
    },
  };
  const target = await authorization.stages.visible.run(
    call as unknown as CallWith<'principal' | 'message' | 'candidate'>,
    now,
  );
  if (target instanceof Refusal) return refused(target);
  if (target instanceof Answer) throw new TypeError('authorization answers nothing itself');
  const decision = await authorization.stages.decide.run(
    { ...call, target } as unknown as CallWith<'principal' | 'message' | 'target' | 'arguments'>,
    now,
  );
  if (decision instanceof Refusal) return refused(decision);
  if (decision instanceof Answer) throw new TypeError('authorization answers nothing itself');
  const { approval, redaction, maxResultBytes } = decision.obligations;
  return {
    verdict: 'allowed',
    rules: decision.rules,
    ...(approval === null ? {} : { approval }),
    ...(redaction === null ? {} : { redaction }),
    ...(maxResultBytes === null ? {} : { maxResultBytes }),
    ...(decision.wouldRefuse === null ? {} : { wouldRefuse: decision.wouldRefuse }),
  };
}

/**
 * Differences between what was expected and what came, as sentences. Duties are compared always: a case that says
 * only "allowed" means allowed without approval.
 */
export function differences(expected: DecisionCase['expect'], came: Rehearsal): string[] {
  const always = ['verdict', 'approval', 'redaction', 'maxResultBytes', 'wouldRefuse'] as const;
  const whenSaid = ['rules', 'text', 'path', 'scopes'] as const;
  const wanted: Partial<Rehearsal> = expected as Partial<Rehearsal>;
  const compared = [...always, ...whenSaid.filter((field) => wanted[field] !== undefined)];
  return compared
    .filter((field) => JSON.stringify(wanted[field]) !== JSON.stringify(came[field]))
    .map(
      (field) =>
        `${field}: expected ${JSON.stringify(wanted[field]) ?? 'none'}, came ${JSON.stringify(came[field]) ?? 'none'}`,
    );
}

function refused({ code, facts }: Refusal): Rehearsal {
  return {
    verdict: code.slice('authorization.'.length) as Verdict,
    ...(facts.text === undefined ? {} : { text: facts.text }),
    ...(facts.path === undefined ? {} : { path: facts.path }),
    ...(facts.scopes === undefined ? {} : { scopes: facts.scopes }),
    ...(facts.evidence === undefined ? {} : { evidence: facts.evidence }),
  };
}

const METHODS = {
  tool: 'tools/call',
  prompt: 'prompts/get',
  resource: 'resources/read',
  template: 'resources/read',
  admin: 'admin/call',
} as const;

/** A principal as authentication would leave it, from the fields of a case. */
export function principalOf(shape: z.output<typeof principalShape>): Principal {
  return {
    ...shape,
    expiresAt: Number.MAX_SAFE_INTEGER,
    key: sha256Base64Url(JSON.stringify([shape.tenant, shape.issuer, shape.subject])),
    authority: sha256Base64Url(JSON.stringify(Object.entries(shape).sort())),
  };
}

/** A pinned target, from the fields policy can read. */
export function targetOf(shape: z.output<typeof targetShape>): Target {
  const key = `${shape.server}/${shape.name}`;
  return {
    ...shape,
    key,
    exposed: `${shape.server}__${shape.name}`,
    digest: sha256Base64Url(key),
    manifest: sha256Base64Url(shape.server),
    definition: {},
    limits: { cost: 1, maxArgumentBytes: 65_536, maxResultBytes: 1_048_576, maxConcurrent: 1, timeoutMs: 1000 },
    errors: 'scrub',
  };
}
