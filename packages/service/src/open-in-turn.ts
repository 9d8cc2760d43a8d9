/** What a start has opened so far, to be closed in reverse: when it fails half-way, and at the end. */
export interface Closers {
  add(close: () => Promise<void> | void): void;
  /** Closes everything, the last opened first, whatever fails. Idempotent. @throws the first failure, after all were tried */
  close(): Promise<void>;
}

/**
 * Runs a start that opens one thing after another and adds how each is closed. When it fails half-way, what was opened is closed before the failure is thrown on;
 * otherwise whoever gets the result closes by `closers.close`.
 */
export async function openInTurn<Running>(start: (closers: Closers) => Promise<Running>): Promise<Running> {
  const closers = createClosers();
  try {
    return await start(closers);
  } catch (error) {
    await closers.close();
    throw error;
  }
}

function createClosers(): Closers {
  const open: (() => Promise<void> | void)[] = [];
  return {
    add: (close) => void open.push(close),
    async close() {
      const failures: unknown[] = [];
      for (let close = open.pop(); close !== undefined; close = open.pop()) {
        try {
          await close();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
