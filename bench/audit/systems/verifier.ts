import { readVerifiers, type VerifyReport, verifyLog } from '../../../src/controls/audit/verifier/index.ts';
import { answerBench } from '../../systems/answering.ts';

/** The verifier, as an auditor starts it: once. `node verifier.ts LOG KEY` */
const [log = '', key = ''] = process.argv.slice(2);

export interface Verified {
  readonly records: number;
  readonly seconds: number;
  readonly peakRssBytes: number;
  /** The first thing that does not hold. */
  readonly finding: string | null;
}

/** The roll-up's entries are checkpoints, not records. */
const isReplica = ({ replica }: VerifyReport) => replica !== '' && !replica.startsWith('rollup/');

answerBench(
  {},
  {
    async verify(): Promise<Verified> {
      const started = performance.now();
      const reports = await verifyLog(log, readVerifiers(key));
      const seconds = (performance.now() - started) / 1e3;
      const [finding] = reports.flatMap(({ findings }) => findings);
      return {
        records: reports.reduce((sum, report) => sum + (isReplica(report) ? report.records : 0), 0),
        seconds,
        peakRssBytes: process.resourceUsage().maxRSS * 1024,
        finding: finding ? JSON.stringify(finding) : null,
      };
    },
  },
);
