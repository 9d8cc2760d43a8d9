/**
 * What each call of AdminService needs. The table has every method, or it does not compile: a new call cannot be served without a rule.
 * Lists are cut to what the caller may see; whatever else it may not do is refused.
 */

import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { AdminService } from "@gmq/protocol/messages";
import { type Caller, peerConnectionKey } from "@gmq/transport";
import type { CallRate } from "../call-rate.js";
import { denied, mayReadTopic, maySeeGroup, maySeeTopic, requireGroup, requireTopic } from "./require.js";

type Service = ServiceImpl<typeof AdminService>;
type Request = { readonly topic?: unknown; readonly group?: unknown };
/** @throws GmqError `permission_denied` */
type Rule = (caller: Caller, request: { readonly topic: string; readonly group: string }) => void;

const anybodyKnown: Rule = () => undefined;
const seeTopic: Rule = (caller, { topic }) => {
  if (!maySeeTopic(caller, topic)) throw denied(caller, "see", "topic", topic);
};
const readTopic: Rule = (caller, { topic }) => {
  if (!mayReadTopic(caller, topic)) throw denied(caller, "consume", "topic", topic);
};
const seeGroup: Rule = (caller, { group }) => {
  if (!maySeeGroup(caller, group)) throw denied(caller, "see", "group", group);
};
const changeTopic: Rule = (caller, { topic }) => requireTopic(caller, "admin", topic);
const changeGroup: Rule = (caller, { group }) => requireGroup(caller, "admin", group);
/** A group's place in a topic tells of both. */
const seeBoth: Rule = (caller, request) => {
  seeGroup(caller, request);
  if (request.topic !== "") seeTopic(caller, request);
};

const rules: Readonly<Record<keyof Service, Rule>> = {
  createTopic: changeTopic,
  listTopics: anybodyKnown,
  describeTopic: seeTopic,
  deleteTopic: changeTopic,
  alterTopic: changeTopic,
  addPartitions: changeTopic,
  purgeTopic: changeTopic,
  listGroups: anybodyKnown,
  describeGroup: seeGroup,
  deleteGroup: changeGroup,
  listPending: seeBoth,
  settlePending: changeGroup,
  resetGroup: changeGroup,
  pauseGroup: changeGroup,
  resumeGroup: changeGroup,
  explainGroup: seeBoth,
  browseRecords: readTopic,
  getStatus: anybodyKnown,
  listDeadLetters(caller, request) {
    seeGroup(caller, request);
    readTopic(caller, request);
  },
  redrive(caller, request) {
    changeGroup(caller, request);
    changeTopic(caller, request);
  },
};

/** The service, with each call counted and asked for its rule first. */
export function withAccess(service: Service, rate: CallRate): Service {
  const checked = Object.entries(service).map(([name, call]) => {
    const rule = rules[name as keyof Service];
    const run = call as (request: Request, context: HandlerContext) => unknown;
    return [
      name,
      (request: Request, context: HandlerContext) => {
        admit(context, (caller) => rule(caller, targetOf(request)));
        return run(request, context);
      },
    ] as const;
  });
  function admit({ values }: HandlerContext, check: (caller: Caller) => void): Caller {
    const { caller, address } = values.get(peerConnectionKey);
    rate.count(caller.name === "" ? address : caller.name);
    check(caller);
    return caller;
  }

  const own = Object.fromEntries(checked) as unknown as Service;
  return {
    ...own,
    async listTopics(request, context) {
      const caller = admit(context, () => undefined);
      const { topics = [] } = await service.listTopics(request, context);
      return { topics: topics.filter(({ name = "" }) => maySeeTopic(caller, name)) };
    },
    async listGroups(request, context) {
      const caller = admit(context, () => undefined);
      const { groups = [] } = await service.listGroups(request, context);
      return { groups: groups.filter(({ group = "" }) => maySeeGroup(caller, group)) };
    },
  };
}

/** Who makes a call of a service. */
export function callerOf({ values }: Pick<HandlerContext, "values">): Caller {
  return values.get(peerConnectionKey).caller;
}

function targetOf({ topic, group }: Request): { readonly topic: string; readonly group: string } {
  return { topic: typeof topic === "string" ? topic : "", group: typeof group === "string" ? group : "" };
}
