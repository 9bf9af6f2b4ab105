import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PublishedServer } from './servers.ts';
import { LINES, WORDS } from './words.ts';

const NOTES = 20;
const COMMITS = 8;
/** Everything is as old in both runs. */
const THEN = new Date('2025-03-01T12:00:00Z');

/** The same files at the same place, whatever a run has left there. */
export function makeWorkspace({ workspace, home }: PublishedServer): void {
  rmSync(workspace, { recursive: true, force: true });
  for (const folder of ['notes', 'src', 'out', 'desk', 'repo', 'vault/.obsidian', 'vault/Ideas'])
    mkdirSync(join(workspace, folder), { recursive: true });
  mkdirSync(home, { recursive: true });
  const write = (path: string, text: string) => {
    writeFileSync(join(workspace, path), text);
    utimesSync(join(workspace, path), THEN, THEN);
  };
  for (let n = 1; n <= NOTES; n++) {
    write(`notes/${n}.md`, `# ${WORDS[n - 1]}\n\n${LINES.slice(n - 1, n + 9).join('\n')}\n`);
    write(`vault/Ideas/${n}.md`, `# ${WORDS[n - 1]}\n\n${LINES[n]}\n`);
    write(
      `src/part${n}.js`,
      `// ${LINES[n]}\nexport function part${n}(items) {\n  var total = ${n};\n  return items.map((x) => x + ${n});\n}\n`,
    );
  }
  write('src/eslint.config.js', "export default [{ rules: { 'no-unused-vars': 'warn', 'no-var': 'error' } }];\n");
  write('package.json', '{ "type": "module" }\n');
  write('eslint.config.js', "export default [{ rules: { 'no-unused-vars': 'warn', 'no-var': 'error' } }];\n");
  write('packed.xml', packed());
  write(
    'plan.drawio',
    '<mxfile><diagram id="d1" name="Plan"><mxGraphModel><root><mxCell id="0"/><mxCell id="1" parent="0"/></root></mxGraphModel></diagram></mxfile>\n',
  );
  repository(join(workspace, 'repo'), write, home);
}

function packed(): string {
  const files = LINES.slice(0, 10).map((line, at) => `<file path="src/part${at}.js">\n// ${line}\n</file>`);
  return `<directory_structure>\nsrc/\n</directory_structure>\n<files>\n${files.join('\n')}\n</files>\n`;
}

/** Its commits have the same names in both runs. */
function repository(cwd: string, write: (path: string, text: string) => void, home: string): void {
  const who = { NAME: 'Release Robot', EMAIL: 'robot@example.com', DATE: THEN.toISOString() };
  const env = {
    ...{ PATH: process.env['PATH'], HOME: home, GIT_CONFIG_NOSYSTEM: '1' },
    ...Object.fromEntries(
      Object.entries(who).flatMap(([key, value]) => [
        [`GIT_AUTHOR_${key}`, value],
        [`GIT_COMMITTER_${key}`, value],
      ]),
    ),
  };
  const git = (...args: string[]) => execFileSync('git', args, { cwd, env, stdio: 'pipe' });
  writeFileSync(join(home, '.gitconfig'), '[user]\n  name = Release Robot\n  email = robot@example.com\n');
  git('init', '-q', '-b', 'main');
  for (let n = 1; n <= COMMITS; n++) {
    write(`repo/file${n}.txt`, `${LINES.slice(0, n).join('\n')}\n`);
    git('add', '.');
    git('commit', '-q', '-m', `Add ${WORDS[n]}: ${LINES[n]}`);
  }
}
