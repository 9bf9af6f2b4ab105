import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { installedPackages, type Packages } from '../conformance/packages.ts';
import { LINES, WORDS } from './words.ts';

const file = z.strictObject({
  package: z.string(),
  /** The program inside its package, and its arguments. */
  start: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()).default({}),
  /** It draws at random: seeded.ts is loaded before it. */
  seeded: z.boolean().default(false),
  /** What differs between two direct calls as well, as regular expressions; compared as if it were equal. */
  varies: z.array(z.string()).default([]),
  /** Personal data in the answers, which redaction is meant to replace. */
  personal: z.array(z.string()).default([]),
  calls: z.array(
    z.strictObject({
      tool: z.string(),
      arguments: z.record(z.string(), z.unknown()).default({}),
      times: z.int().min(1).default(1),
      /** The server itself answers with an error: what that says must be the same. */
      fails: z.boolean().default(false),
    }),
  ),
});

const SEEDED = join(import.meta.dirname, 'seeded.ts');

export interface Call {
  readonly tool: string;
  readonly arguments: Record<string, unknown>;
  readonly fails: boolean;
}

/** A server of somebody else, and what a model would ask of it. */
export interface PublishedServer {
  readonly name: string;
  readonly package: string;
  readonly version: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly varies: readonly RegExp[];
  readonly personal: readonly string[];
  readonly calls: readonly Call[];
  /** Folder of its own, made anew before each of the two runs; its working directory. */
  readonly workspace: string;
  readonly home: string;
}

export function compatibilityPackages(): Packages {
  return installedPackages('compatibility', import.meta.dirname);
}

/** @param folder where the packages are; @param base under which each server gets its workspace */
export function publishedServers(folder: string, base: string): PublishedServer[] {
  return globSync(join(import.meta.dirname, 'servers/*.yaml'))
    .sort()
    .map((path) => {
      const name = basename(path, '.yaml');
      const read = file.parse(parse(readFileSync(path, 'utf8')));
      const home = join(folder, 'node_modules', read.package);
      const workspace = join(base, name);
      const here = (text: string) => text.replaceAll('{ws}', workspace);
      const [program, ...args] = read.start;
      return {
        ...{ name, package: read.package, workspace, home: join(workspace, 'home') },
        version: (JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string }).version,
        command: [
          process.execPath,
          ...(read.seeded ? ['--import', SEEDED] : []),
          join(home, program!),
          ...args.map(here),
        ],
        env: Object.fromEntries(Object.entries(read.env).map(([key, value]) => [key, here(value)])),
        varies: read.varies.map((pattern) => new RegExp(pattern, 'g')),
        personal: read.personal,
        calls: read.calls.flatMap(({ tool, arguments: given, times, fails }) =>
          Array.from({ length: times }, (_, at) => ({
            ...{ tool, fails },
            arguments: filled(given, at + 1, workspace) as Record<string, unknown>,
          })),
        ),
      };
    });
}

/** `{n}` alone is the number of the call; inside a text it is written out, as `{nn}`, `{word}`, `{line}` and `{ws}` are. */
function filled(value: unknown, n: number, workspace: string): unknown {
  if (value === '{n}') return n;
  if (typeof value === 'string') {
    return value
      .replaceAll('{nn}', String(n).padStart(2, '0'))
      .replaceAll('{n}', String(n))
      .replaceAll('{word}', WORDS[(n - 1) % WORDS.length]!)
      .replaceAll('{line}', LINES[(n - 1) % LINES.length]!)
      .replaceAll('{ws}', workspace);
  }
  if (Array.isArray(value)) return value.map((item) => filled(item, n, workspace));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, n, workspace)]));
}
