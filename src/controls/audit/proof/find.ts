import type { LogReader, OpenRecord } from '../reader/read.ts';
import { isReceipt, openReceipt, receiptPurpose } from './receipts.ts';

/**
 * The records that somebody means: by journal index, by receipt (the outcome it was given for), by the id of a call, or
 * of one record. Of a call all of them, the approval it used included, in their order.
 */
export async function recordsMeant(reader: LogReader, what: string): Promise<OpenRecord[]> {
  if (/^[0-9]{1,15}$/.test(what)) return reader.at(Number(what));
  if (isReceipt(what)) return recordOfReceipt(reader, what);
  const records = await reader.about(what);
  const all = [...records];
  for (const replica of new Set(records.map((record) => record.replica)))
    all.push(...(await referredTo(reader, replica, records)));
  return all.sort((a, b) => (a.replica === b.replica ? a.index - b.index : a.replica < b.replica ? -1 : 1));
}

/** A receipt does not say which replica gave it: each has a key of its own, and the record itself is the check. */
async function recordOfReceipt(reader: LogReader, receipt: string): Promise<OpenRecord[]> {
  for (const replica of reader.replicas()) {
    const opened = openReceipt(reader.derive(receiptPurpose(replica)), receipt);
    const records = opened ? await reader.at(opened.index, replica) : [];
    if (records[0] && opened!.fits(records[0].envelope.id)) return [records[0]];
  }
  return [];
}

/** Records that these refer to and that are not among them: refs name leaves, so the tree is read up to them. */
async function referredTo(reader: LogReader, replica: string, records: readonly OpenRecord[]): Promise<OpenRecord[]> {
  const here = records.filter((record) => record.replica === replica);
  const place = (origin: string, leaf: number) => `${origin}\n${leaf}`;
  const known = new Set(here.map(({ origin, leaf }) => place(origin, leaf)));
  const wanted = new Set(
    here
      .flatMap(({ origin, envelope }) => envelope.refs.map((leaf) => place(origin, leaf)))
      .filter((one) => !known.has(one)),
  );
  const found: OpenRecord[] = [];
  if (wanted.size === 0) return found;
  for await (const record of reader.follow(replica, 0)) {
    if (wanted.has(place(record.origin, record.leaf))) found.push(...(await reader.at(record.index, replica)));
    if (found.length === wanted.size) break;
  }
  return found;
}
