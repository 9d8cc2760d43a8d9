/** Joins what many ask in one turn of the event loop into one call of the engine. Order is kept. */

/** Asks for one thing; answered when the joined call is. */
export type Turn<Request, Outcome> = (request: Request) => Promise<Outcome>;

/**
 * Makes a joiner. `call` must answer with one outcome for each request, in order; when it rejects, every request of that call does.
 * Several calls may be in flight. `requestsMax` bounds one call; what is over goes into the next one of the same turn.
 */
export function createTurn<Request, Outcome>(
  call: (requests: readonly Request[]) => Promise<readonly Outcome[]>,
  requestsMax = 4_096,
): Turn<Request, Outcome> {
  interface Waiting {
    readonly request: Request;
    resolve(outcome: Outcome): void;
    reject(error: unknown): void;
  }
  let waiting: Waiting[] = [];

  function send(batch: readonly Waiting[]): void {
    call(batch.map(({ request }) => request)).then(
      (outcomes) => batch.forEach(({ resolve }, index) => resolve(outcomes[index] as Outcome)),
      (error: unknown) => {
        for (const { reject } of batch) reject(error);
      },
    );
  }

  function flush(): void {
    const all = waiting;
    waiting = [];
    for (let from = 0; from < all.length; from += requestsMax) send(all.slice(from, from + requestsMax));
  }

  return (request) =>
    new Promise((resolve, reject) => {
      // After the poll phase: the frames of every socket that was readable in this turn are in.
      if (waiting.length === 0) setImmediate(flush);
      waiting.push({ request, resolve, reject });
    });
}
