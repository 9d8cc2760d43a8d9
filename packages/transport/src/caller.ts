import type { GmqError } from "@gmq/protocol";

/** What a caller may be allowed to do to a topic or group. */
export type Action = "publish" | "consume" | "admin";

/**
 * Who calls, as the listener found out from the headers, and what it may do. Answers are cached by name: asking costs a look-up, so it may be asked for every
 * frame, though never for every record.
 */
export interface Caller {
  /** Its name, for logs and people; "" for everybody. */
  readonly name: string;
  mayTopic(action: Action, topic: string): boolean;
  mayGroup(action: Action, group: string): boolean;
  /** Why it may not go on: its token ran out or was taken back. Undefined: it may. Cheap, also to be asked often. */
  problem(): GmqError | undefined;
  /** Grows when its rights may have changed: what was allowed for long has to be asked again. */
  readonly version: number;
}

/** The caller where nobody is asked who he is: access is off. */
export const anybody: Caller = {
  name: "",
  mayTopic: () => true,
  mayGroup: () => true,
  problem: () => undefined,
  version: 0,
};
