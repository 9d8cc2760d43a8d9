/** First prove the checker: a history without fault passes, and each broken promise is seen. */
import { describe, expect, test } from "vitest";
import type { HistoryEvent, Place } from "../history/events.ts";
import type { Witnessed } from "../history/journal.ts";
import { judge } from "./judge.ts";

const at = (offset: number): Place => ({ topic: "t", partition: 0, offset });

/** Three records of one key: sent, stored, delivered, settled, kept. */
function goodHistory(): Record<string, HistoryEvent[]> {
  const p1: HistoryEvent[] = [];
  const c1: HistoryEvent[] = [{ e: "assigned", at: 1, topic: "t", partition: 0, epoch: 1 }];
  const run: HistoryEvent[] = [];
  for (let n = 0; n < 3; n++) {
    const [id, base] = [`p1.${n}`, 10 + n * 10];
    p1.push({ e: "send", at: base, id, topic: "t", key: "k", seq: n });
    p1.push({ e: "stored", at: base + 2, id, duplicate: false, ...at(n) });
    c1.push({ e: "delivered", at: base + 3, id, key: "k", epoch: 1, attempt: 1, ...at(n) });
    c1.push({ e: "handled", at: base + 4, ...at(n) });
    c1.push({ e: "settle", at: base + 4, verb: "ack", ...at(n) });
    c1.push({ e: "settled", at: base + 5, ...at(n) });
    run.push({ e: "kept", at: 1_000, id, key: "k", ...at(n) });
  }
  run.push({ e: "lag", at: 1_000, topic: "t", partition: 0, records: 0 });
  run.push({ e: "memory", at: 500, process: "broker 1", bytes: 100_000_000 });
  p1.push({ e: "ended", at: 900 });
  c1.push({ e: "ended", at: 900 });
  return { p1, c1, run };
}

function broken(history: Record<string, HistoryEvent[]>): string[] {
  const events: Witnessed[] = Object.entries(history).flatMap(([by, list]) => list.map((event) => ({ by, event })));
  return [...new Set(judge(events).violations.map(({ promise }) => promise))];
}

function changed(change: (history: Record<string, HistoryEvent[]>) => void): string[] {
  const history = goodHistory();
  change(history);
  return broken(history);
}

/** Leaves out the events that a test matches. */
function without(list: HistoryEvent[] | undefined, test: (event: HistoryEvent) => boolean): HistoryEvent[] {
  return (list ?? []).filter((event) => !test(event));
}

const fault = (kind: string, from: number, until: number, lossMs?: number): HistoryEvent => ({
  e: "fault",
  at: from,
  until,
  kind,
  target: "c1",
  ...(lossMs === undefined ? {} : { lossMs }),
});

/** c2 takes over under epoch 2 and gets the last record. */
function takeOver(history: Record<string, HistoryEvent[]>, atMs: number, epoch = 2): void {
  history["c2"] = [
    { e: "assigned", at: atMs, topic: "t", partition: 0, epoch },
    { e: "delivered", at: atMs + 1, id: "p1.2", key: "k", epoch, attempt: 1, ...at(2) },
    { e: "handled", at: atMs + 2, ...at(2) },
    { e: "settle", at: atMs + 2, verb: "ack", ...at(2) },
    { e: "settled", at: atMs + 3, ...at(2) },
  ];
}

test("a shared group has no order and no owners, and still nobody gets what another has", () => {
  const shared = (change: (history: Record<string, HistoryEvent[]>) => void): string[] =>
    changed((history) => {
      history["run"]?.push({ e: "group", at: 0, mode: "shared" });
      change(history);
    });
  // The last record goes to another one, before the first was begun, under an epoch that is older.
  const beside = (history: Record<string, HistoryEvent[]>): void => {
    history["c1"] = without(history["c1"], (event) => "offset" in event && event.offset === 2);
    takeOver(history, 5, 0);
  };
  expect(changed(beside)).toContain("one-owner");
  expect(shared(beside)).toEqual([]);
  // The same, but the first one had it too.
  expect(shared((history) => takeOver(history, 40))).toEqual(["delivered"]);
});

test("what a store that lost its tail had taken may be told later, and nothing else", () => {
  const lost = (sentAt: number): string[] =>
    changed((history) => {
      history["run"] = without(history["run"], (event) => event.e === "kept" && event.offset === 2);
      history["run"].push(fault("fail-over", 40, 45, 5));
      history["p1"] = without(history["p1"], (event) => "id" in event && event.id === "p1.2");
      history["p1"].push({ e: "send", at: sentAt, id: "p1.2", topic: "t", key: "k", seq: 2 });
      history["p1"].push({ e: "stored", at: 900, id: "p1.2", duplicate: false, ...at(2) });
      history["c1"] = without(history["c1"], (event) => "offset" in event && event.offset === 2);
    });
  expect(lost(38)).toEqual([]);
  expect(lost(30)).toContain("acked-is-kept");
});

test("a history that keeps every promise passes", () => {
  expect(broken(goodHistory())).toEqual([]);
});

test("its figures", () => {
  const events = Object.entries(goodHistory()).flatMap(([by, list]) => list.map((event) => ({ by, event })));
  expect(judge(events).figures).toMatchObject({
    sent: 3,
    acknowledged: 3,
    kept: 3,
    lost: 0,
    deliveries: 3,
    redelivered: 0,
  });
});

test("take-overs beside a fault of the store are told apart", () => {
  const closed = (...others: HistoryEvent[]) => {
    const h = goodHistory();
    h["c1"] = without(h["c1"], (e) => (e.e === "settle" || e.e === "settled") && e.offset === 2);
    h["c1"] = without(h["c1"], (e) => e.e === "ended");
    takeOver(h, 10_100);
    h["run"]?.push(fault("kill consumer", 10_000, 10_001), ...others);
    const events = Object.entries(h).flatMap(([by, list]) => list.map((event) => ({ by, event })));
    return judge(events).figures.takeOverMs.closed;
  };
  const alone = { alone: [100], besideAnother: [] };
  const beside = { alone: [], besideAnother: [100] };
  expect(closed()).toEqual(alone);
  expect(closed(fault("kill redis", 10_050, 12_000))).toEqual(beside);
  expect(closed(fault("kill broker", 7_000, 8_500))).toEqual(beside);
  expect(closed(fault("kill redis", 5_000, 7_900), fault("kill redis", 10_150, 12_000))).toEqual(alone);
  expect(closed(fault("stop producer", 9_000, 12_000), fault("clock jump", 10_050, 10_051))).toEqual(alone);
});

describe("acked-is-kept", () => {
  test("an acknowledged record is not in the log", () => {
    expect(changed((h) => (h["run"] = without(h["run"], (e) => e.e === "kept" && e.id === "p1.2")))).toContain(
      "acked-is-kept",
    );
  });
  test("another record lies in its place", () => {
    const found = changed((h) => {
      h["run"] = (h["run"] ?? []).map((e) => (e.e === "kept" && e.id === "p1.2" ? { ...e, id: "p1.1" } : e));
    });
    expect(found).toContain("acked-is-kept");
  });
  test("what a store may lose, and only in its window, is excused", () => {
    const lose = (from: number) => (h: Record<string, HistoryEvent[]>) => {
      h["run"] = without(h["run"], (e) => e.e === "kept" && e.id === "p1.2");
      h["run"].push(fault("kill redis", from, from + 10, 5));
    };
    expect(changed(lose(35))).not.toContain("acked-is-kept");
    expect(changed(lose(60))).toContain("acked-is-kept");
  });
});

describe("stored-once", () => {
  test("a record lies at two places", () => {
    expect(changed((h) => h["run"]?.push({ e: "kept", at: 1_000, id: "p1.1", key: "k", ...at(3) }))).toContain(
      "stored-once",
    );
  });
  test("two records were acknowledged at one place", () => {
    const found = changed((h) => {
      h["p1"] = (h["p1"] ?? []).map((e) => (e.e === "stored" && e.id === "p1.2" ? { ...e, offset: 1 } : e));
    });
    expect(found).toContain("stored-once");
  });
});

describe("ordered", () => {
  test("a gap in the offsets", () => {
    const move = (e: HistoryEvent): HistoryEvent => ("offset" in e && e.offset === 2 ? { ...e, offset: 7 } : e);
    expect(
      changed((h) => {
        for (const by of Object.keys(h)) h[by] = (h[by] ?? []).map(move);
      }),
    ).toEqual(["ordered"]);
  });
  test("a key's records lie in the wrong order", () => {
    const swap = (e: HistoryEvent): HistoryEvent =>
      "id" in e && e.e !== "send" && "offset" in e && e.offset < 2 ? { ...e, id: e.offset === 0 ? "p1.1" : "p1.0" } : e;
    expect(
      changed((h) => {
        h["run"] = (h["run"] ?? []).map(swap);
      }),
    ).toContain("ordered");
  });
  test("a handler begins while the one before it on the key has not ended", () => {
    expect(
      changed((h) => {
        h["c1"] = (h["c1"] ?? []).map((e) => (e.e === "handled" && e.offset === 0 ? { ...e, at: 24 } : e));
      }),
    ).toEqual(["ordered"]);
  });
  test("a failed record lets its key go on", () => {
    const found = changed((h) => {
      h["c1"] = [
        { e: "assigned", at: 1, topic: "t", partition: 0, epoch: 1 },
        { e: "delivered", at: 11, id: "p1.0", key: "k", epoch: 1, attempt: 1, ...at(0) },
        { e: "failed", at: 12, ...at(0) },
        { e: "delivered", at: 13, id: "p1.1", key: "k", epoch: 1, attempt: 1, ...at(1) },
        { e: "handled", at: 14, ...at(1) },
        { e: "delivered", at: 15, id: "p1.0", key: "k", epoch: 1, attempt: 2, ...at(0) },
        { e: "handled", at: 16, ...at(0) },
        { e: "delivered", at: 17, id: "p1.2", key: "k", epoch: 1, attempt: 1, ...at(2) },
        { e: "handled", at: 18, ...at(2) },
      ];
    });
    expect(found).toEqual(["ordered"]);
  });
  test("a failed record may let its key go on once its time is over, not before", () => {
    const expiring = (expiresAt: number) =>
      changed((h) => {
        h["p1"] = (h["p1"] ?? []).map((e) => (e.e === "send" && e.id === "p1.0" ? { ...e, expiresAt } : e));
        h["c1"] = [
          { e: "assigned", at: 1, topic: "t", partition: 0, epoch: 1 },
          { e: "delivered", at: 11, id: "p1.0", key: "k", epoch: 1, attempt: 1, ...at(0) },
          { e: "failed", at: 12, ...at(0) },
          ...without(h["c1"], (e) => e.e === "assigned" || ("offset" in e && e.offset === 0)),
        ];
      });
    const next = goodHistory()["c1"]?.find((e) => e.e === "delivered" && e.offset === 1)?.at ?? 0;
    expect(expiring(next)).toEqual([]);
    expect(expiring(next + 1)).toEqual(["ordered"]);
  });
});

describe("delivered", () => {
  test("a record was never handled", () => {
    expect(changed((h) => (h["c1"] = without(h["c1"], (e) => "offset" in e && e.offset === 1)))).toEqual(["delivered"]);
  });
  test("a handler that did not end is not enough", () => {
    expect(changed((h) => (h["c1"] = without(h["c1"], (e) => e.e === "handled" && e.offset === 2)))).toEqual([
      "delivered",
    ]);
  });
  test("lag is left", () => {
    expect(changed((h) => h["run"]?.push({ e: "lag", at: 1_000, topic: "t", partition: 1, records: 1 }))).toEqual([
      "delivered",
    ]);
  });
  test("a settled record comes again, also after a fault", () => {
    const found = changed((h) => {
      takeOver(h, 100);
      h["run"]?.push(fault("kill consumer", 90, 90));
    });
    expect(found).toEqual(["delivered"]);
  });
  test("a record comes twice though nothing had happened", () => {
    const found = changed((h) => {
      h["c1"] = without(h["c1"], (e) => (e.e === "settle" || e.e === "settled") && e.offset === 2);
      h["c1"] = without(h["c1"], (e) => e.e === "ended");
      h["c1"].push({ e: "revoked", at: 90, topic: "t", partition: 0 });
      takeOver(h, 100);
    });
    expect(found).toEqual(["delivered"]);
  });
  test("after a crash the unsettled may come again", () => {
    const found = changed((h) => {
      h["c1"] = without(h["c1"], (e) => (e.e === "settle" || e.e === "settled") && e.offset === 2);
      takeOver(h, 100);
      h["run"]?.push(fault("kill consumer", 90, 90));
    });
    expect(found).toEqual([]);
  });
  test("a record that nobody sent", () => {
    expect(changed((h) => (h["p1"] = without(h["p1"], (e) => "id" in e && e.id === "p1.1")))).toContain("delivered");
  });
});

describe("attempts", () => {
  test("a crash costs an attempt", () => {
    const found = changed((h) => {
      h["c1"] = without(h["c1"], (e) => (e.e === "settle" || e.e === "settled") && e.offset === 2);
      takeOver(h, 100);
      h["c2"] = (h["c2"] ?? []).map((e) => (e.e === "delivered" ? { ...e, attempt: 2 } : e));
      h["run"]?.push(fault("kill consumer", 90, 90));
    });
    expect(found).toEqual(["attempts"]);
  });
  test("a failure that the store took is forgotten", () => {
    const found = changed((h) => {
      h["c1"] = (h["c1"] ?? []).map((e) => (e.e === "settle" && e.offset === 2 ? { ...e, verb: "retry" } : e));
      h["c1"] = without(h["c1"], (e) => e.e === "ended");
      h["c1"].push({ e: "revoked", at: 90, topic: "t", partition: 0 });
      takeOver(h, 100);
    });
    expect(found).toEqual(["attempts"]);
  });
});

describe("dead-lettered-once", () => {
  /** The last record is rejected and lies in the dead-letter topic. */
  const rejected = (h: Record<string, HistoryEvent[]>, ...copies: HistoryEvent[]): void => {
    h["c1"] = without(h["c1"], (e) => e.e === "handled" && e.offset === 2);
    h["c1"] = h["c1"].map((e) => (e.e === "settle" && e.offset === 2 ? { ...e, verb: "reject" } : e));
    h["run"]?.push(...copies);
  };
  const copy: HistoryEvent = { e: "buried", at: 1_000, id: "p1.2", attempts: 1, ...at(2) };
  test("one copy is right", () => expect(changed((h) => rejected(h, copy))).toEqual([]));
  test("a second one is not", () => expect(changed((h) => rejected(h, copy, copy))).toEqual(["dead-lettered-once"]));
  test("none is not, though a purge excuses it", () => {
    expect(changed((h) => rejected(h))).toContain("dead-lettered-once");
    expect(
      changed((h) => {
        rejected(h, { e: "purged", at: 500, until: 501, ...at(3) });
        h["run"] = without(h["run"], (e) => e.e === "kept");
      }),
    ).toEqual([]);
  });
  test("a copy of what nobody rejected, or of another record", () => {
    expect(changed((h) => h["run"]?.push(copy))).toEqual(["dead-lettered-once"]);
    expect(changed((h) => rejected(h, { ...copy, id: "p1.1" } as HistoryEvent))).toEqual(["dead-lettered-once"]);
  });
  test("a copy that tells wrong attempts", () => {
    expect(changed((h) => rejected(h, { ...copy, attempts: 2 } as HistoryEvent))).toEqual(["attempts"]);
  });
  test("a rejected record comes again, also after a fault", () => {
    const found = changed((h) => {
      rejected(h, copy);
      takeOver(h, 100);
      h["run"]?.push(fault("kill consumer", 90, 90));
    });
    expect(found).toEqual(["delivered"]);
  });
});

describe("delayed and expired", () => {
  const timed =
    (times: { readonly dueAt?: number; readonly expiresAt?: number }) => (h: Record<string, HistoryEvent[]>) => {
      h["p1"] = (h["p1"] ?? []).map((e) => (e.e === "send" && e.id === "p1.2" ? { ...e, ...times } : e));
    };
  test("a record comes before its time", () => {
    expect(changed(timed({ dueAt: 33 }))).toEqual([]);
    expect(changed(timed({ dueAt: 200 }))).toEqual(["delayed"]);
  });
  test("a record that was taken for later never comes into the log", () => {
    const found = changed((h) => {
      timed({ dueAt: 33 })(h);
      h["p1"] = (h["p1"] ?? []).map((e) => (e.e === "stored" && e.id === "p1.2" ? { ...e, offset: -1 } : e));
      h["c1"] = without(h["c1"], (e) => "offset" in e && e.offset === 2);
      h["run"] = without(h["run"], (e) => e.e === "kept" && e.offset === 2);
    });
    expect(found).toEqual(["acked-is-kept"]);
  });
  test("a record comes after its time, unless its process stood still", () => {
    expect(changed(timed({ expiresAt: -1_500 }))).toEqual(["expired"]);
    expect(
      changed((h) => {
        timed({ expiresAt: -1_500 })(h);
        h["run"]?.push(fault("stop consumer", -1_600, 20));
      }),
    ).toEqual([]);
  });
  test("one whose time was over need not be handled, one that lived has to", () => {
    const unhandled = (expiresAt: number) =>
      changed((h) => {
        timed({ expiresAt })(h);
        h["c1"] = without(h["c1"], (e) => "offset" in e && e.offset === 2);
      });
    expect(unhandled(500)).toEqual([]);
    expect(unhandled(2_000)).toEqual(["delivered"]);
  });
});

describe("retained", () => {
  const purge = (counted: number, handled: number) =>
    changed((h) => {
      h["c1"] = without(h["c1"], (e) => "offset" in e && e.offset >= handled);
      h["run"] = without(h["run"], (e) => e.e === "kept" && e.offset < 2);
      h["run"].push({ e: "purged", at: 500, until: 501, ...at(2) });
      if (counted > 0) h["run"].push({ e: "lost", at: 1_000, topic: "t", partition: 0, records: counted });
      if (handled < 3) h["run"] = without(h["run"], (e) => e.e === "kept");
    });
  test("what was purged before anybody had it is counted", () => {
    expect(purge(2, 0)).toEqual(["acked-is-kept"]);
    expect(purge(1, 0)).toEqual(["acked-is-kept", "retained"]);
  });
  test("what had been settled is not", () => {
    expect(purge(0, 3)).toEqual([]);
    expect(purge(1, 3)).toEqual(["retained"]);
  });
  test("nothing is counted without a purge", () => {
    expect(changed((h) => h["run"]?.push({ e: "lost", at: 1_000, topic: "t", partition: 0, records: 1 }))).toEqual([
      "retained",
    ]);
  });
});

describe("one-owner", () => {
  test("two lease intervals overlap for long though nothing had happened", () => {
    const found = changed((h) => {
      h["c1"]?.splice(0, 1, { e: "assigned", at: -2_000, topic: "t", partition: 0, epoch: 1 });
      h["c2"] = [{ e: "assigned", at: 90, topic: "t", partition: 0, epoch: 2 }];
      h["c1"] = (h["c1"] ?? []).map((e) => (e.e === "ended" ? { ...e, at: 1_500 } : e));
    });
    expect(found).toEqual(["one-owner"]);
  });
  test("a replaced owner begins a record though nothing had happened", () => {
    const found = changed((h) => {
      h["c2"] = [{ e: "assigned", at: 20, topic: "t", partition: 0, epoch: 2 }];
      h["c1"] = without(h["c1"], (e) => e.e === "settled" || e.e === "settle");
    });
    expect(found).toEqual(["one-owner"]);
  });
  test("a settlement under a replaced epoch is taken, also after a fault", () => {
    const found = changed((h) => {
      h["c2"] = [{ e: "assigned", at: 20, topic: "t", partition: 0, epoch: 2 }];
      h["run"]?.push(fault("stop consumer", 15, 30));
    });
    expect(found).toEqual(["one-owner"]);
  });
  test("one that is fenced is fine", () => {
    const found = changed((h) => {
      h["c2"] = [{ e: "assigned", at: 30, topic: "t", partition: 0, epoch: 2 }];
      h["c1"] = (h["c1"] ?? []).map((e) =>
        e.e === "settled" && e.offset === 2 ? { ...e, e: "unsettled", code: "fenced" } : e,
      );
      h["run"]?.push(fault("stop consumer", 15, 40));
    });
    expect(found).toEqual([]);
  });
  test("one epoch for two consumers", () => {
    const found = changed((h) => {
      h["c1"]?.push({ e: "revoked", at: 90, topic: "t", partition: 0 });
      h["c2"] = [{ e: "assigned", at: 100, topic: "t", partition: 0, epoch: 1 }];
    });
    expect(found).toEqual(["one-owner"]);
  });
});

describe("bounded", () => {
  test("a process grows", () => {
    expect(changed((h) => h["run"]?.push({ e: "memory", at: 600, process: "broker 1", bytes: 2 ** 31 }))).toEqual([
      "bounded",
    ]);
  });
});

describe("told", () => {
  test("a call without an answer, of a process that ended by itself", () => {
    const found = changed((h) => (h["p1"] = without(h["p1"], (e) => e.e === "stored" && e.id === "p1.2")));
    expect(found).toEqual(["told"]);
  });
  test("a call of a killed process may stay open", () => {
    expect(
      changed((h) => (h["p1"] = without(h["p1"], (e) => e.e === "ended" || (e.e === "stored" && e.id === "p1.2")))),
    ).toEqual([]);
  });
  test("two answers", () => {
    expect(changed((h) => h["p1"]?.push({ e: "unknown", at: 99, id: "p1.2", code: "unknown_outcome" }))).toContain(
      "told",
    );
  });
  test("a refused record is in the log", () => {
    const found = changed((h) => {
      h["p1"] = (h["p1"] ?? []).map((e) =>
        e.e === "stored" && e.id === "p1.2" ? { e: "refused", at: e.at, id: e.id, code: "store_full" } : e,
      );
    });
    expect(found).toEqual(["told"]);
  });
  test("an error that is not in the table", () => {
    const found = changed((h) => {
      h["c1"] = (h["c1"] ?? []).map((e) =>
        e.e === "settled" && e.offset === 2 ? { ...e, e: "unsettled", code: "EPIPE" } : e,
      );
    });
    expect(found).toEqual(["told"]);
  });
  test("a settlement without an answer", () => {
    expect(changed((h) => (h["c1"] = without(h["c1"], (e) => e.e === "settled" && e.offset === 2)))).toEqual(["told"]);
  });
});
