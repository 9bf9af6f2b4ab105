import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** For tests: judges events by the published schema (an extract of it; source and licence stand in the file). */
interface Attribute {
  /** Type, `object:<name>` for objects. */
  readonly t: string;
  readonly r: 'must' | 'should' | 'may';
  readonly a?: 1;
  readonly e?: readonly string[];
  /** Profiles it belongs to: without one of them in `metadata.profiles` it may not be there. */
  readonly p?: readonly string[];
  readonly d?: 1;
}
interface Shape {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly constraints?: { readonly at_least_one?: readonly string[] };
}
interface EventClass extends Shape {
  readonly uid: number;
  readonly category: number;
  readonly profiles: readonly string[];
}
interface Schema {
  readonly version: string;
  readonly classes: Readonly<Record<string, EventClass>>;
  readonly objects: Readonly<Record<string, Shape>>;
}

const schema = JSON.parse(readFileSync(new URL('./ocsf-1.8.0-extract.json', import.meta.url), 'utf8')) as Schema;

/** Everything that is wrong with an event. */
export function judgeEvent(event: object): string[] {
  const fields = event as Record<string, unknown>;
  const found = Object.values(schema.classes).find(({ uid }) => uid === fields['class_uid']);
  if (!found) return [`class_uid ${String(fields['class_uid'])} is not one of ours`];
  const wrong: string[] = [];
  const metadata = fields['metadata'] as { profiles?: string[]; version?: string } | undefined;
  const profiles = metadata?.profiles ?? [];
  for (const profile of profiles) if (!found.profiles.includes(profile)) wrong.push(`no profile ${profile} here`);
  if (metadata?.version !== schema.version) wrong.push(`metadata.version is not ${schema.version}`);
  if (fields['category_uid'] !== found.category) wrong.push('category_uid is that of another class');
  if (fields['type_uid'] !== found.uid * 100 + Number(fields['activity_id'])) wrong.push('type_uid does not add up');
  judge(fields, found, profiles, '', wrong);
  return wrong;
}

function judge(value: unknown, shape: Shape, profiles: readonly string[], path: string, wrong: string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    wrong.push(`${path} is no object`);
    return;
  }
  const fields = value as Record<string, unknown>;
  for (const [name, { r, p }] of Object.entries(shape.attributes)) {
    if (r === 'must' && !(name in fields) && (!p || p.some((one) => profiles.includes(one))))
      wrong.push(`${path}${name} is missing`);
  }
  const atLeast = shape.constraints?.at_least_one;
  if (atLeast && !atLeast.some((name) => name in fields)) wrong.push(`${path} has none of ${atLeast.join(', ')}`);
  for (const [name, member] of Object.entries(fields)) {
    const attribute = Object.hasOwn(shape.attributes, name) ? shape.attributes[name]! : null;
    const place = `${path}${name}`;
    if (!attribute) {
      wrong.push(`${place} is unknown`);
      continue;
    }
    if (attribute.d) wrong.push(`${place} is deprecated`);
    if (attribute.p && !attribute.p.some((one) => profiles.includes(one)))
      wrong.push(`${place} needs profile ${attribute.p.join(' or ')}`);
    if (Array.isArray(member) !== (attribute.a === 1)) {
      wrong.push(`${place} is ${attribute.a ? 'no' : 'an'} array`);
      continue;
    }
    for (const one of attribute.a ? (member as unknown[]) : [member])
      judgeValue(one, attribute, profiles, place, wrong);
  }
}

function judgeValue(value: unknown, attribute: Attribute, profiles: readonly string[], place: string, wrong: string[]) {
  const { t: type, e: allowed } = attribute;
  if (allowed && !allowed.includes(String(value))) wrong.push(`${place}: ${String(value)} is not in its enum`);
  if (type.startsWith('object:')) {
    const name = type.slice('object:'.length);
    if (name === 'object') return;
    const shape = Object.hasOwn(schema.objects, name) ? schema.objects[name]! : null;
    if (shape) judge(value, shape, profiles, `${place}.`, wrong);
    else wrong.push(`${place}: the extract has no object ${name}`);
    return;
  }
  if (!isOf(type, value)) wrong.push(`${place}: ${JSON.stringify(value)} is no ${type}`);
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case 'integer_t':
      return Number.isInteger(value) && Math.abs(value as number) < 2 ** 31;
    case 'long_t':
    case 'timestamp_t':
      return Number.isSafeInteger(value);
    case 'boolean_t':
      return typeof value === 'boolean';
    case 'ip_t':
      return typeof value === 'string' && isIP(value) !== 0;
    case 'json_t':
      return true;
    default:
      return typeof value === 'string';
  }
}
