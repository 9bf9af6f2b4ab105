import { folded } from './look-alike.ts';
import type { Pin, ServerPins } from './pins.ts';
import type { UriTemplate } from './template.ts';

/**
 * What the manifests of one view say of addresses, served or not. A template answers for many addresses that nobody
 * reviewed one by one; it must not answer for one that somebody did, in whatever spelling, when that one is withheld, left
 * out, or meant for fewer people.
 */
export interface Addresses {
  /** True when no template may answer for this URI (attacker-controlled). */
  spokenFor(uri: string): boolean;
}

/** @param isServed whether a template is served in this view, where it competes by itself */
export function addressesOf(servers: readonly ServerPins[], isServed: (pin: Pin) => boolean): Addresses {
  const named = new Set<string>();
  const withheld: UriTemplate[] = [];
  for (const { manifest, pins } of servers) {
    for (const { kind, name } of manifest.excluded) if (kind === 'resource') named.add(formOf(name));
    for (const pin of pins) {
      if (pin.kind === 'resource') named.add(formOf(pin.name));
      if (pin.template && !isServed(pin)) withheld.push(pin.template);
    }
  }
  return { spokenFor: (uri) => named.has(formOf(uri)) || withheld.some((template) => template.matches(uri)) };
}

/** One form for all that a server may take for the same address: escapes decoded, case and width folded. */
function formOf(uri: string): string {
  return folded(uri.replace(/(?:%[0-9A-Fa-f]{2})+/g, decoded));
}

function decoded(escapes: string): string {
  try {
    return decodeURIComponent(escapes);
  } catch {
    // Not UTF-8: it stands for nothing that could be written otherwise.
    return escapes;
  }
}
