import { propose } from './draft-proposal.ts';
import { type LiveDefinitions, settled } from './drift.ts';
import { type ItemKind, KIND_OF, LISTS, MANIFEST_FORMAT, nameOf } from './manifest.ts';
import { exposedName } from './names.ts';
import { inert, type ScanFinding, scanDefinition } from './scan.ts';
import { compileTemplate } from './template.ts';

export interface DraftSource {
  readonly server: string;
  readonly prefix: string;
  readonly live: LiveDefinitions;
}

/** A manifest nobody has reviewed: version, owner and review are empty, so that it cannot be signed as it is. */
export interface Draft {
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly findings: readonly ScanFinding[];
  readonly notes: readonly string[];
}

/**
 * Proposes a manifest for what a live server offers. Proposals err on the safe side: a tool writes until a person says
 * that it only reads, whatever the server claims of itself. Pure.
 */
export function draftManifest(source: DraftSource): Draft {
  const findings: ScanFinding[] = [];
  const notes: string[] = [];
  const lists = LISTS.map((list) => {
    const kind = KIND_OF[list];
    const items = (source.live[list] ?? []).flatMap((entry) => {
      const definition = settled(kind, entry as Readonly<Record<string, unknown>>);
      const name = nameOf(kind, definition);
      if (typeof name !== 'string') {
        notes.push(`${list}: an entry without a name was left out`);
        return [];
      }
      findings.push(...scanDefinition(`${source.server}/${name}`, name, definition));
      notes.push(...notesOn(kind, name, definition));
      const proposal = propose(source.server, kind, definition);
      return [
        {
          exposed: exposedOf(source.prefix, kind, name),
          scopes: proposal.scopes,
          effect: proposal.effect,
          ...(Object.keys(proposal.limits).length > 0 ? { limits: proposal.limits } : {}),
          definition,
        },
      ];
    });
    return [list, items] as const;
  });
  const { server, prefix } = source;
  const manifest = {
    format: MANIFEST_FORMAT,
    ...{ server, prefix, title: server, version: '', owner: '' },
    review: { by: '', at: '', note: '', accepted: [] },
    ...Object.fromEntries(lists),
    excluded: [],
  };
  return { manifest, findings, notes };
}

function exposedOf(prefix: string, kind: ItemKind, name: string): string {
  return kind === 'tool' || kind === 'prompt' ? exposedName(prefix, name) : name;
}

function notesOn(kind: ItemKind, name: string, definition: Readonly<Record<string, unknown>>): string[] {
  const notes: string[] = [];
  const shown = inert(name, 80);
  const execution = definition['execution'] as { taskSupport?: unknown } | undefined;
  if (execution?.taskSupport === 'required')
    notes.push(`${shown}: answers only as a task of revision 2025-11-25, which is not relayed; leave it out`);
  const hints = (definition['annotations'] ?? {}) as { openWorldHint?: unknown };
  if (hints.openWorldHint === true)
    notes.push(`${shown}: says it reaches other systems; what it may reach is not limited by the gateway`);
  const compiled = kind === 'template' ? compileTemplate(name) : null;
  if (compiled && 'fault' in compiled) notes.push(`${shown}: cannot be served, ${compiled.fault}`);
  return notes;
}
