/** Frames of the watch stream as JSON, as they travel between the portal, the worker and the tabs. */

interface Named {
  readonly name: string;
}

/** A snapshot or a delta; everything but the lists of rows is passed on as it is. */
interface SnapshotFrame {
  readonly topics: readonly Named[];
  readonly groups: readonly Named[];
  readonly removedTopics: readonly string[];
  readonly removedGroups: readonly string[];
  readonly points: readonly unknown[];
  readonly lastWrites: readonly unknown[];
}

/** One frame; one of the four is set. */
export interface WatchFrame {
  readonly hello?: unknown;
  readonly snapshot?: SnapshotFrame;
  readonly delta?: SnapshotFrame;
  readonly heartbeat?: unknown;
}

/** What a tab that comes later needs to be where the others are. */
export interface WatchMemory {
  note(frame: WatchFrame): void;
  /** Hello and one snapshot of everything so far; nothing before they came. */
  frames(): WatchFrame[];
}

const pointsMax = 300;

/** Remembers a stream, bounded by what the cluster has. */
export function createWatchMemory(): WatchMemory {
  let hello: WatchFrame | undefined;
  let last: SnapshotFrame | undefined;
  let topics = new Map<string, Named>();
  let groups = new Map<string, Named>();
  let points: readonly unknown[] = [];
  let lastWrites: readonly unknown[] = [];

  return {
    note(frame) {
      if (frame.hello !== undefined) hello = frame;
      if (frame.snapshot !== undefined) {
        topics = new Map();
        groups = new Map();
        points = [];
      }
      const part = frame.snapshot ?? frame.delta;
      if (part === undefined) return;
      last = part;
      for (const row of part.topics) topics.set(row.name, row);
      for (const row of part.groups) groups.set(row.name, row);
      for (const name of part.removedTopics) topics.delete(name);
      for (const name of part.removedGroups) groups.delete(name);
      points = [...points, ...part.points].slice(-pointsMax);
      if (part.lastWrites.length > 0) lastWrites = part.lastWrites;
    },
    frames() {
      if (hello === undefined || last === undefined) return hello === undefined ? [] : [hello];
      const rows = { topics: [...topics.values()], groups: [...groups.values()] };
      return [hello, { snapshot: { ...last, ...rows, removedTopics: [], removedGroups: [], points, lastWrites } }];
    },
  };
}
