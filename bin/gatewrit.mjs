#!/usr/bin/env node
// Runs the source in a checkout and the compiled files when installed.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

// Else V8 puts what belongs to one call into the old generation, where a dead call keeps others alive (docs/performance.md).
setFlagsFromString('--no-allocation-site-pretenuring');

const source = new URL('../src/inbound/cli/main.ts', import.meta.url);
const compiled = new URL('../dist/inbound/cli/main.js', import.meta.url);
const { main } = await import(existsSync(fileURLToPath(source)) ? source.href : compiled.href);
process.exitCode = await main(process.argv.slice(2));
