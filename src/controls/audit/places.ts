import { join } from 'node:path';

/** Where the log lives. Every byte below `audit/` is covered; what is not lies beside it. */
export function placesOf(home: string, replica: string) {
  const log = join(home, 'audit', replica);
  const beside = join(home, 'audit-work', replica);
  return {
    log,
    beside,
    segments: join(log, 'segments'),
    journal: join(log, 'journal'),
    trees: join(log, 'trees'),
    work: join(beside, 'placing'),
    quarantine: join(beside, 'quarantine'),
    reserve: join(beside, 'reserve'),
  };
}
