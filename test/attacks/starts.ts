import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { writeDefaultPolicy } from '../../src/controls/authorization/index.ts';

const root = join(import.meta.dirname, '../..');
const started = z.strictObject({
  why: z.string(),
  settings: z.record(z.string(), z.unknown()).optional().describe('sections of gatewrit.yaml'),
  policy: z.record(z.string(), z.string()).optional().describe('files laid over those of the default policy'),
  says: z.string(),
});
const refusedStart = z.strictObject({ id: z.string(), attack: z.string(), cases: z.array(started).min(1) });

export type Start = z.output<typeof started>;

/** Starts that must be refused, by id of the checklist. */
export function readStarts(): z.output<typeof refusedStart>[] {
  const text = readFileSync(join(import.meta.dirname, 'starts.yaml'), 'utf8');
  return z.array(refusedStart).parse(parse(text));
}

/** Tries one start in a home of its own. @returns what is wrong, or null when it was refused as it should be. */
export async function tryStart({ why, settings, policy, says }: Start): Promise<string | null> {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-start-'));
  try {
    const config = join(home, 'gatewrit.yaml');
    const ports = { public: { port: 0 }, admin: { port: 0 } };
    const all = { listen: ports, authentication: { development: true }, upstreams: {}, ...settings };
    writeFileSync(config, JSON.stringify(all));
    mkdirSync(join(home, 'policy'), { mode: 0o700 });
    await writeDefaultPolicy(join(home, 'policy'), { quickstart: true });
    for (const [file, text] of Object.entries(policy ?? {})) writeFileSync(join(home, 'policy', file), text);
    const { code, stderr, stdout } = await start(home, config);
    if (stdout !== '') return `${why}: it said ${stdout.slice(0, 200)}`;
    if (code === 0 || code === null) return `${why}: it ended with ${code}`;
    if (/\n\s+at /.test(stderr)) return `${why}: a stack on stderr: ${stderr.slice(0, 400)}`;
    return new RegExp(says).test(stderr) ? null : `${why}: it said ${stderr.slice(-400)}`;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function start(home: string, config: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const args = [join(root, 'bin/gatewrit.mjs'), 'start', '--json', '--home', home, '--config', config];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, timeout: 15_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ code, stdout, stderr });
    });
  });
}
