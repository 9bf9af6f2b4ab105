/** What a measured process says of itself. */
export interface Usage {
  /** User and system time of the whole process, all threads, in µs. */
  readonly cpuMicros: number;
  /** The same of its main thread alone. */
  readonly mainMicros: number;
  readonly rssBytes: number;
  /** Upstream only: tool calls it has executed. */
  readonly calls?: number;
}

/**
 * Tells the bench that this system is ready, and answers its questions until the bench is gone.
 * @param answers one function per question; `usage` is always there
 */
export function answerBench(ready: object, answers: Readonly<Record<string, (question: never) => unknown>> = {}): void {
  process.on('message', async (question: { readonly ask: string }) => {
    const more = (await answers[question.ask]?.(question as never)) ?? {};
    process.send?.(question.ask === 'usage' ? { ...usage(), ...more } : more);
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.(ready);
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  const main = process.threadCpuUsage();
  return { cpuMicros: user + system, mainMicros: main.user + main.system, rssBytes: process.memoryUsage.rss() };
}
