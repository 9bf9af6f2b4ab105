/** What ends one part; may take its time. */
export type End = () => Promise<void> | void;

/**
 * Ends parts in the reverse order of their beginning, each of them: one that fails must not keep the audit log from being
 * flushed or a child process from being ended. The list is empty afterwards, so a second call does nothing.
 * @throws the first failure, when all parts have been tried
 */
export async function closeInReverse(parts: End[]): Promise<void> {
  const failures: unknown[] = [];
  for (const end of parts.splice(0).reverse()) {
    try {
      await end();
    } catch (cause) {
      failures.push(cause);
    }
  }
  if (failures.length > 0) throw failures[0];
}
