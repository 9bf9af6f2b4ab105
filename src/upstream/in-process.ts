import type { CallWith, Now, Principal, Result } from '../core/call.ts';
import { Refusal } from '../core/stage.ts';
import { ReceivedResult } from './answer.ts';

/** An admin operation's handler: runs behind the whole pipeline, like a tool. */
export interface InProcessOperation {
  run(request: {
    principal: Principal;
    arguments: Readonly<Record<string, unknown>>;
    now: Now;
  }): Promise<Refusal | object>;
}

/** Operations by name: the tools of the built-in server `gatewrit`. */
export class InProcessOperations {
  readonly #operations: ReadonlyMap<string, InProcessOperation>;

  constructor(operations: ReadonlyMap<string, InProcessOperation>) {
    this.#operations = operations;
  }

  async run(call: CallWith<'principal' | 'target' | 'arguments'>, now: Now): Promise<Result | Refusal> {
    const operation = this.#operations.get(call.target.name);
    if (!operation) return new Refusal('upstream.unavailable', { evidence: `no handler for ${call.target.key}` });
    const done = await operation.run({ principal: call.principal, arguments: call.arguments.view, now });
    return done instanceof Refusal ? done : new ReceivedResult('result', Buffer.from(JSON.stringify(done)));
  }
}
