import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { ADDRESS_WORDS, before, says } from '../context.ts';
import type { Found, Place } from '../types.ts';

/** Loopback, private, link-local, shared and unspecified: they say nothing about a person outside the site. */
const PRIVATE = new BlockList();
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['255.255.255.255', 32],
] as const) {
  PRIVATE.addSubnet(net, bits, 'ipv4');
}
for (const [net, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  PRIVATE.addSubnet(net, bits, 'ipv6');

const V4 =
  /(?<![\p{L}\p{N}_.])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?![\p{L}\p{N}_]|\.\d|-[\p{L}])/gu;
const V6 = /(?<![\p{L}\p{N}_:.])(?=[A-Za-z0-9_]{0,32}:)[A-Za-z0-9_:]{2,72}(?:\.\d{1,3}){0,3}(?![\p{L}\p{N}_:])/gu;
const VERSION_NAMES = /\b(?:version|versions|ver|release|build|firmware|revision|oid|semver)\b/;
const VERSION_BEFORE = /(?:\bversions?|\bver|\brelease|\bbuild|\bfirmware|\brevision|\bsection|\bv)[\s.:=#]{0,3}$/;

/** IPv4 and IPv6 addresses. Four numbers after a word for version are a version. */
export function findAddresses(text: string, place: Place, keepPrivate: boolean): Found[] {
  const found: Found[] = [];
  for (const match of text.matchAll(V4)) {
    const { index: start } = match;
    if (isVersion(text, start, match[0], place)) continue;
    found.push(address('ip.v4', start, match[0], match[0], keepPrivate && PRIVATE.check(match[0], 'ipv4')));
  }
  if (!text.includes(':')) return found;
  for (const match of text.matchAll(V6)) {
    let raw = match[0].replace(/(?<!:):$/, '');
    let start = match.index;
    // `source:2001:db8::1`: a word and a colon before the address look like one more group.
    if (!isIPv6(raw)) {
      const label = /^[A-Za-z_]{1,32}:/.exec(raw)?.[0] ?? '';
      raw = raw.slice(label.length);
      start += label.length;
    }
    if (!isIPv6(raw) || !isLikelyV6(raw, text, start, place)) continue;
    found.push(address('ip.v6', start, raw, canonical(raw), keepPrivate && PRIVATE.check(raw, 'ipv6')));
  }
  return found;
}

function address(rule: string, start: number, raw: string, value: string, quiet: boolean): Found {
  return { type: 'IP_ADDRESS', start, end: start + raw.length, rule: quiet ? `${rule}.private` : rule, value, quiet };
}

function isVersion(text: string, start: number, raw: string, place: Place): boolean {
  if (VERSION_NAMES.test(place.names)) return true;
  // lib-1.2.3.4 and Chrome/120.0.0.0, but not 10.0.0.1-10.0.0.9
  if (text[start - 1] === '-' && /[\p{L}_]/u.test(text[start - 2] ?? '')) return true;
  if (text[start - 1] === '/' && raw.endsWith('.0.0.0')) return true;
  return VERSION_BEFORE.test(before(text, start));
}

/** `[1::2]` is a slice and `a::b` a scope; an address has longer groups, more of them, or a word beside it. */
function isLikelyV6(raw: string, text: string, start: number, place: Place): boolean {
  const groups = raw.split(':').filter((group) => group !== '');
  if (raw === '::1' || groups.length >= 4) return true;
  if (groups.length === 0) return false;
  if (groups.some((group) => group.length >= 3 && /\d/.test(group)) && /\d/.test(raw)) return true;
  return says(ADDRESS_WORDS, place, text, start);
}

function canonical(raw: string): string {
  return isIPv4(raw) ? raw : new URL(`http://[${raw}]`).hostname.slice(1, -1);
}
