import { runCompatibility } from './run.ts';
import { compatibilityPackages } from './servers.ts';
import { report, writeDocument } from './table.ts';

/** `node test/compatibility/main.ts [server]`: the run by hand; the whole of it writes docs/compatibility.md anew. */
const { folder, missing } = compatibilityPackages();
if (missing) throw new Error(missing);
const only = process.argv[2] ?? null;
const rows = await runCompatibility(folder, only);
process.stdout.write(report(rows));
if (only === null) writeDocument(rows);
