/** Events for whoever iterates: every iterator has its own bounded queue, the oldest events leave first. */
export interface EventStream<Event> {
  emit(event: Event): void;
  /** Events from now on, until the stream ends or the loop breaks. */
  iterate(): AsyncIterableIterator<Event>;
  end(): void;
}

const queuedMax = 1_000;

/** Makes a stream without listeners; emitting costs nothing then. */
export function createEventStream<Event>(): EventStream<Event> {
  interface Reader {
    readonly queue: Event[];
    wake: (() => void) | undefined;
    over: boolean;
  }
  const readers = new Set<Reader>();
  let ended = false;

  async function* read(reader: Reader): AsyncGenerator<Event> {
    try {
      for (;;) {
        const event = reader.queue.shift();
        if (event !== undefined) yield event;
        else if (reader.over) return;
        else {
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
          reader.wake = undefined;
        }
      }
    } finally {
      readers.delete(reader);
    }
  }

  return {
    emit(event) {
      for (const reader of readers) {
        if (reader.queue.length === queuedMax) reader.queue.shift();
        reader.queue.push(event);
        reader.wake?.();
      }
    },
    iterate() {
      const reader: Reader = { queue: [], wake: undefined, over: ended };
      readers.add(reader);
      return read(reader);
    },
    end() {
      ended = true;
      for (const reader of readers) {
        reader.over = true;
        reader.wake?.();
      }
    },
  };
}
