/** Every write of the portal goes through here: guarded, noted before it is made, and noted again with what came of it. */
import { randomUUID } from "node:crypto";
import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import {
  AdminServiceDescribeGroupResponseSchema,
  AdminServiceDescribeTopicResponseSchema,
} from "@gmq/protocol/messages";
import { fromConnectError } from "@gmq/transport";
import type { AuditLog } from "../audit/audit-log.js";
import type { BrokerClients, Brokers } from "./brokers.js";
import type { Caller, RequestGuard } from "./request-guard.js";

/** A write as its caller asked for it. */
export interface Write<Input extends DescMessage, Output> {
  /** The call's name, for example "DeleteTopic". */
  readonly action: string;
  readonly input: Input;
  readonly request: MessageShape<Input>;
  readonly topic: string;
  readonly group: string;
  /** True: topic and group are described before and after, for the audit. */
  readonly compared: boolean;
  run(clients: BrokerClients): Promise<Output>;
}

/** A write that changes something of the portal's own, and needs no broker. */
export interface OwnWrite<Input extends DescMessage, Output> {
  readonly action: string;
  readonly input: Input;
  readonly request: MessageShape<Input>;
  /** What it is about, as the audit names it. */
  readonly target: string;
  run(caller: Caller): Promise<Output>;
}

/** What is asked about before a caller may do it. */
export interface Act {
  readonly action: string;
  readonly topic: string;
  readonly group: string;
  /** False: nothing outside of the portal is changed, so a read-only portal allows it. Default true. */
  readonly writes?: boolean;
}

/** The one way to write. Both reject with what the guard, the audit or the broker refuse a write with. */
export interface AuditedWrites {
  /** The one place where an act is allowed or refused, jobs too. @throws GmqError what the guard refuses it with */
  allow(act: Act, context: HandlerContext): Caller;
  write<Input extends DescMessage, Output>(write: Write<Input, Output>, context: HandlerContext): Promise<Output>;
  writeHere<Input extends DescMessage, Output>(
    write: OwnWrite<Input, Output>,
    context: HandlerContext,
  ): Promise<Output>;
  /** A write that tells of its progress; it has ended when its reader went away, too, and the audit says so. */
  writeStream<Input extends DescMessage, Output>(
    write: Write<Input, AsyncIterable<Output>>,
    context: HandlerContext,
  ): AsyncGenerator<Output>;
}

/** Makes the one way to write. */
export function createAuditedWrites(brokers: Brokers, guard: RequestGuard, audit: AuditLog): AuditedWrites {
  function allow({ action, writes = true }: Act, context: HandlerContext): Caller {
    if (writes) guard.checkWrite(context, action);
    else guard.check(context);
    const caller = guard.callerOf(context, randomUUID());
    context.responseHeader.set("x-request-id", caller.requestId);
    return caller;
  }

  async function begin<Input extends DescMessage, Output>(write: Write<Input, Output>, context: HandlerContext) {
    const { action, topic, group, compared } = write;
    const { actor, requestId } = allow(write, context);
    const end = await audit.begin({
      requestId,
      actor,
      action,
      target: targetOf(topic, group),
      requestJson: JSON.stringify(toJson(write.input, write.request)),
      beforeJson: compared ? await describeTarget(brokers, topic, group) : "",
    });
    return {
      async done(): Promise<void> {
        await end({
          outcome: "done",
          problem: "",
          afterJson: compared ? await describeTarget(brokers, topic, group) : "",
        });
      },
      async failed(error: GmqError): Promise<void> {
        const outcome = unknownOutcomes.has(error.code) ? "unknown" : "refused";
        await end({ outcome, problem: `${error.code}: ${error.message}`, afterJson: "" });
      },
    };
  }

  return {
    allow,
    async write(write, context) {
      const { done, failed } = await begin(write, context);
      try {
        const output = await brokers.write((clients) => write.run(clients));
        await done();
        return output;
      } catch (thrown) {
        const error = GmqError.from(thrown);
        await failed(error);
        throw error;
      }
    },
    async writeHere({ action, input, request, target, run }, context) {
      const caller = allow({ action, topic: "", group: "" }, context);
      const requestJson = JSON.stringify(toJson(input, request));
      const end = await audit.begin({ ...caller, action, target, requestJson, beforeJson: "" });
      try {
        const output = await run(caller);
        await end({ outcome: "done", problem: "", afterJson: "" });
        return output;
      } catch (thrown) {
        const error = GmqError.from(thrown);
        await end({ outcome: "refused", problem: `${error.code}: ${error.message}`, afterJson: "" });
        throw error;
      }
    },
    async *writeStream(write, context) {
      const { done, failed } = await begin(write, context);
      let problem = new GmqError("cancelled", "the reader went away before the end");
      let ended = false;
      try {
        yield* await brokers.write((clients) => write.run(clients));
        ended = true;
      } catch (thrown) {
        problem = fromConnectError(thrown, context.signal);
        throw problem;
      } finally {
        if (ended) await done();
        else await failed(problem);
      }
    },
  };
}

/** After these nobody knows how much of it was done. */
const unknownOutcomes: ReadonlySet<string> = new Set(["deadline_exceeded", "unknown_outcome", "cancelled"]);

/** Topic and group as they are, as JSON for the audit. Never rejects. */
export async function describeTarget(brokers: Brokers, topic: string, group: string): Promise<string> {
  try {
    if (group !== "") {
      const answer = await brokers.read(({ admin }) => admin.describeGroup({ group }));
      return JSON.stringify(toJson(AdminServiceDescribeGroupResponseSchema, answer));
    }
    if (topic === "") return "";
    const answer = await brokers.read(({ admin }) => admin.describeTopic({ topic }));
    return JSON.stringify(toJson(AdminServiceDescribeTopicResponseSchema, answer));
  } catch (error) {
    // It is not there, or nobody can say: the write itself tells which.
    return JSON.stringify({ notDescribed: GmqError.from(error).code });
  }
}

/** What an act is about, as the audit names it. */
export function targetOf(topic: string, group: string): string {
  return [...(group === "" ? [] : [`group ${group}`]), ...(topic === "" ? [] : [`topic ${topic}`])].join(", ");
}
