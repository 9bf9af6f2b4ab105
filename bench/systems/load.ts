import { Load, type LoadTarget } from '../load.ts';
import { answerBench } from './answering.ts';

/** The load generator in a process of its own: it shares nothing with the system it measures. */
let load: Load | null = null;

answerBench(
  {},
  {
    async open({ target, connections }: { readonly target: LoadTarget; readonly connections: number }) {
      try {
        load = await Load.open(target, connections);
        return {};
      } catch (cause) {
        return { fault: (cause as Error).message };
      }
    },
    closedLoop: ({ seconds }: { readonly seconds: number }) => load!.closedLoop(seconds),
    openLoop: ({ perSecond, seconds }: { readonly perSecond: number; readonly seconds: number }) =>
      load!.openLoop(perSecond, seconds),
    close() {
      load?.close();
      load = null;
    },
  },
);
