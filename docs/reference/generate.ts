import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { refusalsPage } from './refusals.ts';
import { settingsPage } from './settings.ts';

/** Writes the pages of this folder from the code; test/reference.test.ts says when they are out of date. */
writeFileSync(join(import.meta.dirname, 'settings.md'), settingsPage());
writeFileSync(join(import.meta.dirname, 'refusals.md'), refusalsPage());
