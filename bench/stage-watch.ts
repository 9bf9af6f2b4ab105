import type { Call, Now } from '../src/core/call.ts';
import type { AnyStage } from '../src/core/flow.ts';

/** Times of one stage since they were last taken. */
export interface StageTimes {
  readonly name: string;
  readonly calls: number;
  /** ms on the loop until the stage returned, all calls together. */
  readonly syncMs: number;
  /** ms from then until its promise settled; 0 when it returned a plain value. */
  readonly waitMs: number;
}

interface Running {
  calls: number;
  syncMs: number;
  waitMs: number;
}

/**
 * A stop watch around each stage, in place. What a stage sets going and others finish (the socket to the upstream, the
 * group commit, the tree behind it) is in no stage's own time.
 */
export class StageWatch {
  /** In the order in which stages first ran; a stage that stands in two flows is counted once. */
  readonly #times = new Map<string, Running>();

  readonly around = (stage: AnyStage): AnyStage => ({
    name: stage.name,
    leaves: stage.leaves,
    run: (call: Call, now: Now): unknown => {
      const times = this.#of(stage.name);
      const began = performance.now();
      const left = stage.run(call, now);
      const returned = performance.now();
      times.calls += 1;
      times.syncMs += returned - began;
      if (!(left instanceof Promise)) return left;
      return left.then((later) => {
        times.waitMs += performance.now() - returned;
        return later;
      });
    },
  });

  /** The times since the last taking. */
  take(): { stages: StageTimes[] } {
    const stages = [...this.#times].map(([name, times]) => ({ name, ...times }));
    for (const times of this.#times.values()) Object.assign(times, { calls: 0, syncMs: 0, waitMs: 0 });
    return { stages };
  }

  #of(name: string): Running {
    const known = this.#times.get(name);
    if (known) return known;
    const times = { calls: 0, syncMs: 0, waitMs: 0 };
    this.#times.set(name, times);
    return times;
  }
}
