import type { Effect, Now, Principal } from './call.ts';
import type { Refusal } from './stage.ts';

/** An operation of the built-in manifest, run in this process. */
export interface AdminOperation {
  readonly definition: {
    readonly name: string;
    readonly title: string;
    readonly description: string;
    readonly inputSchema: Readonly<Record<string, unknown>>;
  };
  readonly effect: Effect;
  readonly scopes: readonly string[];
  run(asked: {
    readonly principal: Principal;
    readonly arguments: Readonly<Record<string, unknown>>;
    readonly now: Now;
  }): Promise<Refusal | object>;
}
