import { nearest } from '../../../core/settings.ts';
import { type Command, type Io, wrongUse } from '../command.ts';
import { type Action, runAction } from './action.ts';

/** Loaded when asked for: `verify` needs nothing of what `search` or `export` bring. */
const ACTIONS: Readonly<Record<string, { summary: string; load(): Promise<Action> }>> = {
  verify: {
    summary: 'reads a whole log and says whether every byte is the one that was signed',
    load: async () => (await import('./verify.ts')).verifyAction,
  },
  erase: {
    summary: 'deletes the key of one subject, and so everything their calls said and got',
    load: async () => (await import('./erase.ts')).eraseAction,
  },
  search: {
    summary: 'records by who, what and when',
    load: async () => (await import('./search.ts')).searchAction,
  },
  export: {
    summary: 'records as OCSF 1.8 or OTLP, going on where the last export ended',
    load: async () => (await import('./export.ts')).exportAction,
  },
  list: { summary: 'the last records', load: async () => (await import('./list.ts')).listAction },
  prove: {
    summary: 'the proof that a record, or a call, is in the signed log',
    load: async () => (await import('./prove.ts')).proveAction,
  },
  'verify-proof': {
    summary: 'checks such a proof with the public key alone',
    load: async () => (await import('./verify-proof.ts')).verifyProofAction,
  },
  show: {
    summary: 'one record, or all records of a call',
    load: async () => (await import('./show.ts')).showAction,
  },
  retire: {
    summary: 'ends the log of a replica that will never run again',
    load: async () => (await import('./retire.ts')).retireAction,
  },
  witness: {
    summary: 'cosigns checkpoints of logs that only ever grow; runs where the operator has no say',
    load: async () => (await import('./witness.ts')).witnessAction,
  },
};

const width = Math.max(...Object.keys(ACTIONS).map((name) => name.length));
const usage = `usage: gatewrit audit ACT [options]

${Object.entries(ACTIONS)
  .map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  .join('\n')}

Every act takes --help, --home D (default .gatewrit) and --json.

exit: 0 good, 1 a finding (or nothing found), 2 wrong use, 3 could not run

example
  gatewrit audit verify .gatewrit/audit
`;

export const auditCommand: Command = {
  name: 'audit',
  summary: 'verify, read, prove and export the audit log',
  usage,
  acts: true,
  async run(argv: string[], io: Io): Promise<number> {
    const [name = '', ...rest] = argv;
    if (name === '--help') {
      io.stdout(usage);
      return 0;
    }
    if (Object.hasOwn(ACTIONS, name)) return runAction(name, await ACTIONS[name]!.load(), rest, io);
    const near = nearest(name, Object.keys(ACTIONS));
    if (name === '') return wrongUse(io, 'audit', `say ${Object.keys(ACTIONS).join(', ')}`);
    return wrongUse(io, 'audit', `there is no act "${name}"${near ? `; did you mean "${near}"?` : ''}`);
  },
};
