import { crc32 } from 'node:zlib';
import type { Found } from '../types.ts';

interface VendorRule {
  readonly name: string;
  /** Literals searched for; one of them must begin the token (or stand `lead` units behind its begin). */
  readonly prefixes: readonly string[];
  /** Sticky, with bounded repetition: applied at each literal, never searched with. */
  readonly pattern: RegExp;
  readonly rule?: (token: string) => string;
}

/** Not followed by another character of a token. */
const END = '(?![A-Za-z0-9_-])';
const rule = (name: string, prefixes: string, body: string, named?: (token: string) => string): VendorRule => ({
  name,
  prefixes: prefixes.split(' '),
  pattern: new RegExp(body, 'y'),
  ...(named === undefined ? {} : { rule: named }),
});

/** Token formats their issuers document. Prefixes carry the certainty; lengths are lower bounds where they vary. */
const RULES: readonly VendorRule[] = [
  rule('aws', 'AKIA ASIA ABIA ACCA', `A[A-Z]{3}[A-Z2-7]{16}(?![A-Za-z0-9])`),
  rule('github', 'ghp_ gho_ ghu_ ghs_ ghr_', `gh[pousr]_[A-Za-z0-9]{36,251}${END}`, githubRule),
  rule('github_pat', 'github_pat_', `github_pat_[A-Za-z0-9_]{36,244}`),
  rule(
    'gitlab',
    'glpat- gldt- glrt- glptt- glcbt- glsoat- glft- glimt- glagent- gloas-',
    `gl[a-z]{2,5}-[A-Za-z0-9_.-]{20,300}`,
  ),
  rule(
    'slack',
    'xoxb- xoxp- xoxa- xoxr- xoxs- xoxe- xoxe. xoxc- xoxd- xapp-',
    `x(?:ox[a-z]|app)[-.][A-Za-z0-9.%-]{14,250}`,
  ),
  rule(
    'slack_hook',
    'hooks.slack.com/services/',
    `hooks\\.slack\\.com/services/[A-Z0-9]{8,12}/[A-Z0-9]{8,12}/[A-Za-z0-9]{16,32}`,
  ),
  rule('stripe', 'sk_live_ rk_live_ sk_test_ rk_test_ whsec_', `(?:[sr]k_(?:live|test)_|whsec_)[A-Za-z0-9+/=]{16,247}`),
  rule('google', 'AIza', `AIza[A-Za-z0-9_-]{35}${END}`),
  rule(
    'google_oauth',
    'ya29. GOCSPX- 1//0',
    `(?:ya29\\.[A-Za-z0-9_.-]{20,1024}|GOCSPX-[A-Za-z0-9_-]{28}|1//0[A-Za-z0-9_-]{30,256})`,
  ),
  rule('npm', 'npm_', `npm_[A-Za-z0-9]{36}${END}`),
  rule('pypi', 'pypi-AgE', `pypi-AgE[A-Za-z0-9_-]{50,1000}`),
  rule('anthropic', 'sk-ant-', `sk-ant-[A-Za-z0-9_-]{20,256}`),
  rule('openai', 'sk-', `sk-(?:proj-|svcacct-|admin-|or-v1-)?[A-Za-z0-9_-]{32,256}${END}`, (token) =>
    hasMix(token) ? 'vendor.openai' : '',
  ),
  rule('huggingface', 'hf_', `hf_[A-Za-z0-9]{30,64}${END}`),
  rule('sendgrid', 'SG.', `SG\\.[A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{16,64}`),
  rule('twilio', 'SK AC', `(?:SK|AC)[0-9a-f]{32}(?![A-Za-z0-9])`),
  rule('digitalocean', 'dop_v1_ doo_v1_ dor_v1_', `do[por]_v1_[a-f0-9]{64}`),
  rule('shopify', 'shpat_ shpca_ shppa_ shpss_', `shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}`),
  rule('vault', 'hvs. hvb. hvr.', `hv[sbr]\\.[A-Za-z0-9_-]{20,512}`),
  rule('databricks', 'dapi', `dapi[0-9a-f]{32}(?:-\\d)?(?![A-Za-z0-9])`),
  rule('doppler', 'dp.pt. dp.st. dp.ct.', `dp\\.[psc]t\\.[A-Za-z0-9._-]{40,64}`),
  rule('linear', 'lin_api_', `lin_api_[A-Za-z0-9]{32,64}`),
  rule('notion', 'ntn_', `ntn_[A-Za-z0-9]{40,64}${END}`),
  rule('postman', 'PMAK-', `PMAK-[a-f0-9]{24}-[a-f0-9]{34}`),
  rule('new_relic', 'NRAK-', `NRAK-[A-Z0-9]{27}${END}`),
  rule('figma', 'figd_', `figd_[A-Za-z0-9_-]{36,64}`),
  rule('grafana', 'glc_ glsa_', `gl(?:c|sa)_[A-Za-z0-9+/=_]{32,400}`),
  rule('atlassian', 'ATATT3 ATCTT3', `AT[AC]TT3[A-Za-z0-9_=-]{60,400}`),
  rule('telegram', ':AA', `:AA[A-Za-z0-9_-]{33}${END}`),
  rule('age', 'AGE-SECRET-KEY-1', `AGE-SECRET-KEY-1[A-Z0-9]{58}`),
  rule('azure_storage', 'AccountKey=', `AccountKey=[A-Za-z0-9+/]{86}==`),
  rule('azure_sas', 'SharedAccessKey=', `SharedAccessKey=[A-Za-z0-9+/]{43}=`),
  rule('azure_ad', '8Q~', `8Q~[A-Za-z0-9_.~-]{34}`),
];

/** What may begin a token, for the gate before the detectors. */
export const VENDOR_LITERALS: readonly string[] = RULES.flatMap((rule) => rule.prefixes);

/** Rules by the first two characters of their literals, so that one pass over a text serves all of them. */
const BY_LEAD = new Map<number, { readonly prefix: string; readonly rule: VendorRule }[]>();
for (const rule of RULES) {
  for (const prefix of rule.prefixes) {
    const lead = leadAt(prefix, 0);
    BY_LEAD.set(lead, [...(BY_LEAD.get(lead) ?? []), { prefix, rule }]);
  }
}
/** First characters of all literals: most text is left behind here. */
const FIRST = new Uint8Array(128);
for (const lead of BY_LEAD.keys()) FIRST[lead >> 7] = 1;

function leadAt(text: string, at: number): number {
  return ((text.charCodeAt(at) & 127) << 7) | (text.charCodeAt(at + 1) & 127);
}

/** Tokens with a vendor's documented shape. Every occurrence of a literal costs at most the pattern's bound. */
export function findVendorTokens(text: string): Found[] {
  const found: Found[] = [];
  let free = true;
  for (let at = 0; at < text.length - 8; at++) {
    const code = text.charCodeAt(at);
    const begins = free || code === COLON || code === EIGHT;
    free = !isAlphanumeric(code);
    if (FIRST[code & 127] === 0 || !(begins || isBehindEscape(text, at))) continue;
    const candidates = BY_LEAD.get(leadAt(text, at));
    if (candidates === undefined) continue;
    for (const { prefix, rule } of candidates) {
      const token = text.startsWith(prefix, at) ? tokenAt(text, at, rule) : null;
      if (token === null) continue;
      found.push(token);
      at = token.end - 1;
      free = true;
      break;
    }
  }
  return found;
}

/** The n of `\n` in text that shows JSON or code is no letter of a word. */
function isBehindEscape(text: string, at: number): boolean {
  return text.charCodeAt(at - 2) === BACKSLASH && 'nrtbf'.includes(text[at - 1]!);
}

const BACKSLASH = 0x5c;
const COLON = 0x3a;
const EIGHT = 0x38;

function isAlphanumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

function tokenAt(text: string, at: number, { name, pattern, rule: named }: VendorRule): Found | null {
  pattern.lastIndex = at;
  // A dot inside a token belongs to it, one behind it ends the sentence.
  const token = pattern.exec(text)?.[0].replace(/\.+$/, '');
  if (token === undefined) return null;
  const rule = named === undefined ? `vendor.${name}` : named(token);
  if (rule === '') return null;
  const start = name === 'telegram' || name === 'azure_ad' ? leftOf(text, at) : at;
  const end = at + token.length;
  return { type: 'VENDOR_TOKEN', start, end, rule, value: text.slice(start, end) };
}

/** The part of the token before the literal: a bot number, three characters of a client secret. */
function leftOf(text: string, at: number): number {
  let start = at;
  while (start > 0 && at - start < 12 && /[A-Za-z0-9_]/.test(text[start - 1]!)) start--;
  return start;
}

/** The last six characters are the CRC-32 of the rest in base 62. A wrong one is still treated as a token, under another rule. */
function githubRule(token: string): string {
  return token.length === 40 && githubChecksum(token.slice(4, 34)) === token.slice(34)
    ? 'vendor.github.checksum'
    : 'vendor.github.shape';
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** @param random the thirty characters behind the prefix */
export function githubChecksum(random: string): string {
  let rest = crc32(random);
  let text = '';
  for (let i = 0; i < 6; i++) {
    text = BASE62[rest % 62]! + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}

/** `sk-` begins many words joined by dashes; a key mixes digits and letters within one part. */
function hasMix(token: string): boolean {
  return token.split(/[-_]/).some((part) => part.length >= 16 && /\d/.test(part) && /[A-Za-z]/.test(part));
}
