#!/usr/bin/env node
// Runs the source in a checkout and the compiled files when installed.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

// Else V8 puts what belongs to one call into the old generation, where a dead call keeps others alive (docs/performance.md).
setFlagsFromString('--no-allocation-site-pretenuring');

const source = new URL('../src/inbound/cli/main.ts', import.meta.url);
const compiled = new URL('../dist/inbound/cli/main.js', import.meta.url);
const inCheckout = existsSync(fileURLToPath(source));
// An older Node stops at the first `.ts` file, or later at something it does not have, with a stack and no word of itself.
const OLDEST = 24;
if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  const instead = fileURLToPath(new URL('../bootstrap.mjs', import.meta.url));
  process.stderr.write(
    `gatewrit: this is Node ${process.versions.node}; Node ${OLDEST} or newer is needed. ${
      inCheckout ? `The pinned one runs it: node ${instead} gatewrit` : 'See https://nodejs.org'
    }\n`,
  );
  process.exit(3);
}
const { main } = await import(inCheckout ? source.href : compiled.href);
process.exitCode = await main(process.argv.slice(2));
