import { spawnSync } from 'node:child_process';
import { existsSync, globSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Runs the sizes of tests (docs: CONTRIBUTING.md): `test` needs npm packages alone, `services` installs and starts
 * real servers, `long` runs the full counts, `check` is what a reviewer's tools say, `build` makes the package.
 */
const root = join(import.meta.dirname, '..');
const vectors = process.env['GATEWRIT_VECTORS'] ?? join(root, '..', 'shared', 'vectors');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): number {
  return spawnSync(command, [...args], { cwd: root, stdio: 'inherit', env }).status ?? 3;
}

function tests(
  patterns: readonly string[],
  options: { concurrency: number; timeoutMs: number },
  more: readonly string[],
): number {
  const files = more.length > 0 ? more : patterns.flatMap((pattern) => globSync(pattern, { cwd: root })).sort();
  if (!existsSync(vectors)) {
    process.stdout.write(
      `\n!!! third-party vectors are not at ${vectors}: tests that need them are SKIPPED. Set GATEWRIT_VECTORS.\n\n`,
    );
  }
  return run(
    process.execPath,
    [
      '--test',
      `--test-concurrency=${options.concurrency}`,
      `--test-timeout=${options.timeoutMs}`,
      '--test-reporter=spec',
      ...files,
    ],
    { ...process.env, GATEWRIT_VECTORS: vectors },
  );
}

function check(): number {
  const steps: [string, string, string[]][] = [
    ['types', bin('tsc'), ['-p', '.']],
    ['lint and form', bin('biome'), ['check', '.']],
    ['unused code and dependencies', bin('knip'), []],
    ['package', bin('publint'), ['--strict']],
  ];
  if (build() !== 0) return 1;
  return steps
    .map(([what, command, args]) => {
      process.stdout.write(`\n== ${what}\n`);
      return run(command, args);
    })
    .some((status) => status !== 0)
    ? 1
    : 0;
}

function build(): number {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  return run(bin('tsc'), ['-p', 'tsconfig.build.json']);
}

const [size, ...more] = process.argv.slice(2);
switch (size) {
  case 'test':
    process.exitCode = tests(
      ['src/**/*.test.ts', 'test/*.test.ts', 'test/{e2e,attacks,vectors,policies,redaction}/**/*.test.ts'],
      { concurrency: 3, timeoutMs: 120_000 },
      more,
    );
    break;
  case 'services':
    process.exitCode = tests(['test/services/**/*.test.ts'], { concurrency: 1, timeoutMs: 600_000 }, more);
    break;
  case 'long':
    process.exitCode = tests(['test/long/**/*.test.ts'], { concurrency: 1, timeoutMs: 1_200_000 }, more);
    break;
  case 'check':
    process.exitCode = check();
    break;
  case 'build':
    process.exitCode = build();
    break;
  default:
    process.stderr.write('usage: node test/run.ts test|services|long|check|build [files]\n');
    process.exitCode = 2;
}
