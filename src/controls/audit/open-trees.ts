import type { Now } from '../../core/call.ts';
import type { Log } from '../../core/log.ts';
import type { Store } from '../../core/store/store.ts';
import type { Files, Placer } from './journal/files.ts';
import type { OpenedKeys } from './open-keys.ts';
import type { placesOf } from './places.ts';
import { LogReader } from './reader/read.ts';
import { Ledger, type TenantLog } from './record/ledger.ts';
import type { AuditSettings } from './settings.ts';
import { openSinks, type Sinks } from './sinks/sinks.ts';
import { refuseRollback, type TakenUp, takeUp } from './take-up.ts';
import type { Published } from './tree/checkpoints.ts';
import { Integration } from './tree/integration.ts';
import { TiledTree } from './tree/tree.ts';
import { type Anchored, openAnchor } from './witness/open-anchor.ts';

export interface TreesParts {
  readonly home: string;
  readonly deployment: string;
  readonly replica: string;
  readonly settings: AuditSettings;
  readonly keys: OpenedKeys;
  readonly store: Store;
  readonly files: Files;
  readonly place: ReturnType<typeof placesOf>;
  readonly placer: Placer;
  readonly clock: () => Now;
  readonly tell: Log;
}

export interface OpenedTrees {
  readonly integration: Integration<TenantLog>;
  readonly ledger: Ledger;
  readonly sinks: Sinks;
  readonly anchored: Anchored;
  /** Where the journal goes on. */
  readonly found: TakenUp;
}

/**
 * What is there of a log: its trees, checked against their signatures, what was published of them, the copies and the
 * witness, with everything in them that the journal holds.
 * @throws InternalError `audit.corrupt`, `audit.rolled_back`, `audit.forked`; SettingsError
 */
export async function openTrees(parts: TreesParts): Promise<OpenedTrees> {
  const { home, deployment, replica, settings, store, files, place, placer, clock, tell } = parts;
  const { checkpoint: keys, keyring } = parts.keys;
  const utc = () => clock().utc;
  const origin = `${deployment}/journal/${replica}`;
  const treeKey = (tag: string) => `${tag}/${replica}`;

  const published = await keys.published(store, treeKey('journal'), origin, utc());
  const signed = keys.read(place.journal, origin);
  const journal = TiledTree.load({ folder: place.journal, origin, entries: false }, signed);
  refuseRollback(place.journal, published.checkpoint, signed);
  const sinks = await openSinks(settings.sinks, {
    log: place.log,
    deployment,
    replica,
    verifiers: () => keys.verifiers,
    store,
    clock,
    tell,
    reader: () => LogReader.over({ home, deployment, keyring }),
  });
  await sinks.refuseOlder(place.journal, signed);
  const work = { log: place.log, work: place.beside, files };
  const anchored = await openAnchor(settings.witness, { ...work, origin, keys, clock, tell });

  const integration = new Integration<TenantLog>(
    { store, keys, placer, utc },
    {
      tree: journal,
      key: treeKey('journal'),
      published,
      signed: signed && keys.isCurrent(place.journal) ? signed.size : -1,
    },
  );
  const ledger = new Ledger({
    deployment,
    replica,
    folder: place.trees,
    keyring,
    onNewTree: ({ tree, name }) => integration.addTree(tree, treeKey(name), NEVER_PUBLISHED, 0),
  });
  const found = await takeUp({ files, place, keys, store, ledger, integration, utc, signed, journal, treeKey });
  return { integration, ledger, sinks, anchored, found };
}

const NEVER_PUBLISHED: Published = { checkpoint: null, version: 0 };
