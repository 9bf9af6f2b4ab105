import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Target } from '../../core/call.ts';
import { argumentsType } from './argument-types.ts';
import { Engine, type Policy } from './engine.ts';
import { actionOf, principalEntity, targetEntity } from './entities.ts';
import { principal, target } from './policy-kit.test.ts';
import { type Rule, readRules } from './rules.ts';
import { sketch } from './sketch.ts';
import { mayApply } from './slice.ts';
import { cedarArguments } from './values.ts';

const engine = await Engine.open();
const runs = 60 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

const some = fc.constantFrom;
const aboutTarget = fc.oneof(
  fc
    .tuple(
      some('server', 'name', 'effect', 'kind', 'key'),
      some('==', '!='),
      some('files', 'mail', 'list', 'write', 'tool', 'files/list'),
    )
    .map(([attr, op, text]) => `resource.${attr} ${op} "${text}"`),
  some(
    'resource == Target::"files/list"',
    'resource in Server::"files"',
    '"files" == resource.server',
    'true',
    'false',
  ),
);
const aboutCaller = some(
  'principal.scopes.containsAll(resource.scopes)',
  'principal in Group::"g"',
  'principal.proof == "dpop"',
);
const aboutArguments = some('context.arguments has a', 'context.arguments has a && context.arguments.a like "x*"');
/** Fails on every evaluation that gets as far. */
const faulty = some('Target::"files/gone".effect == "read"');

const condition = (leaf: fc.Arbitrary<string>) =>
  fc.letrec<{ whole: string }>((tie) => ({
    whole: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.tuple(tie('whole'), some('&&', '||'), tie('whole')).map(([a, op, b]) => `(${a}) ${op} (${b})`),
      tie('whole').map((a) => `!(${a})`),
    ),
  })).whole;

const rule = (leaf: fc.Arbitrary<string>) =>
  fc
    .record({
      effect: some('permit', 'permit', 'forbid'),
      who: some('principal', 'principal in Group::"g"'),
      action: some(
        'action',
        'action == Action::"call_tool"',
        'action in [Action::"get_prompt", Action::"read_resource"]',
      ),
      what: some('resource', 'resource == Target::"files/list"', 'resource in Server::"mail"', 'resource is Target'),
      when: fc.option(condition(leaf)),
      unless: fc.option(condition(leaf)),
    })
    .map(({ effect, who, action, what, when, unless }) =>
      [`${effect} (${who}, ${action}, ${what})`, when && `when { ${when} }`, unless && `unless { ${unless} }`]
        .filter(Boolean)
        .join(' '),
    );

const anyTarget = fc
  .record({
    server: some('files', 'mail'),
    name: some('list', 'write'),
    kind: some('tool', 'prompt', 'resource', 'template'),
    effect: some('read', 'write'),
  })
  .map((fields) => target(fields as Parameters<typeof target>[0]));
const anyPrincipal = fc
  .record({
    scopes: some<string[]>([], ['files:read']),
    groups: some<string[]>([], ['g']),
    proof: some('bearer', 'dpop'),
  })
  .map((fields) => principal(fields));
const anyArguments = some({}, { a: 'xyz' }, { a: 'other' });

const rulesOf = (texts: readonly string[]): Rule[] =>
  readRules(engine, { file: 'a.cedar', text: texts.map((text, i) => `@id("r${i}") ${text};`).join('\n') }).rules;
const byId = (rules: readonly Rule[]) => Object.fromEntries(rules.map((one) => [one.id, one.policy as Policy]));

function ask(policies: Record<string, Policy>, who: ReturnType<typeof principal>, what: Target, args: object) {
  const slot = engine.load(policies);
  const values = cedarArguments(args as Record<string, unknown>) as Record<string, string>;
  const found = engine.evaluate(slot, {
    principal: principalEntity(who),
    action: actionOf(what.kind),
    resource: targetEntity(what),
    context: { arguments: values },
  });
  engine.release(slot);
  return 'fault' in found ? { fault: found.fault } : found;
}

test('leaving out the rules that cannot apply changes no decision, no deciding rule and no fault', () => {
  const leaf = fc.oneof(aboutTarget, aboutTarget, aboutCaller, aboutArguments, faulty);
  let left = 0;
  fc.assert(
    fc.property(
      fc.array(rule(leaf), { minLength: 1, maxLength: 6 }),
      anyTarget,
      anyPrincipal,
      anyArguments,
      (texts, what, who, args) => {
        const rules = rulesOf(texts);
        const sliced = rules.filter((one) => mayApply(one, what));
        left += rules.length - sliced.length;
        assert.deepEqual(ask(byId(sliced), who, what, args), ask(byId(rules), who, what, args));
      },
    ),
    { numRuns: runs * 4 },
  );
  assert.ok(left > runs, 'the test is about nothing unless rules are left out');
});

test('what is hidden without arguments is denied for every argument', () => {
  const leaf = fc.oneof(aboutTarget, aboutCaller, aboutArguments, aboutArguments);
  let hidden = 0;
  fc.assert(
    fc.property(
      fc.array(rule(leaf), { minLength: 1, maxLength: 4 }),
      anyTarget,
      anyPrincipal,
      anyArguments,
      (texts, what, who, args) => {
        const rules = rulesOf(texts);
        const drawn = rules.flatMap((one) => {
          const policy = sketch(one);
          return policy ? [[one.id, policy] as const] : [];
        });
        const seen = ask(Object.fromEntries(drawn), who, what, {});
        if ('fault' in seen || seen.allow) return;
        hidden++;
        const found = ask(byId(rules), who, what, args);
        assert.equal('allow' in found && found.allow, false);
      },
    ),
    { numRuns: runs * 4 },
  );
  assert.ok(hidden > runs / 4);
});

test('a rule that reads no arguments is kept whole, an obligation is left out', () => {
  const [plain, duty] = rulesOf([
    'permit (principal, action, resource) when { principal.proof == "dpop" }',
    '@obligation("approval") permit (principal, action, resource)',
  ]);
  assert.equal(sketch(plain!), plain!.policy);
  assert.equal(sketch(duty!), null);
});

test('the type of an argument is taken from how the rule uses it', () => {
  const typeIn = (when: string) =>
    argumentsType(rulesOf([`permit (principal, action, resource) when { ${when} }`])[0]!.policy);
  const a = 'context.arguments.a';
  assert.equal(typeIn(`${a} like "x"`), '{ "a"?: String }');
  assert.equal(typeIn(`${a} > 1`), '{ "a"?: Long }');
  assert.equal(typeIn(`1 + ${a} == 2`), '{ "a"?: Long }');
  assert.equal(typeIn(`!${a}`), '{ "a"?: Bool }');
  assert.equal(typeIn(`["x"].containsAll(${a})`), '{ "a"?: Set<String> }');
  assert.equal(typeIn(`[1].contains(${a})`), '{ "a"?: Long }');
  assert.equal(typeIn(`${a}.contains(1)`), '{ "a"?: Set<Long> }');
  assert.equal(typeIn('context.arguments["x y"].b.c == "z"'), '{ "x y"?: { "b"?: { "c"?: String } } }');
  assert.equal(typeIn('context.arguments has a.b'), '{ "a"?: { "b"?: String } }');
  assert.equal(typeIn('principal.scopes.contains("files:read")'), '{  }');
});
