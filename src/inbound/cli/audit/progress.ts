const EVERY_MS = 200;

/** Long work says on a terminal how far it is; elsewhere it is silent. */
export function progressLine(what: string): { said(replica: string, done: number, total: number): void; end(): void } {
  const { stderr } = process;
  let last = 0;
  let shown = false;
  return {
    said(replica, done, total) {
      const now = performance.now();
      if (!stderr.isTTY || now - last < EVERY_MS) return;
      last = now;
      shown = true;
      stderr.write(`\r${what} ${replica}: ${done} of ${total} records\u001b[K`);
    },
    end() {
      if (shown) stderr.write('\r\u001b[K');
      shown = false;
    },
  };
}
