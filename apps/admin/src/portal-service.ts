import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import {
  type PortalFacts,
  type PortalService,
  PortalServiceProduceRequestSchema,
  PortalServiceSetDescriptorsRequestSchema,
} from "@gmq/protocol/messages";
import { listAccess } from "./access/list-access.js";
import type { PortalAccess } from "./access/portal-access.js";
import { portalCallerOf } from "./access/roles.js";
import { type AlertCallParts, createAlertCalls } from "./alerts/alert-calls.js";
import type { AuditLog } from "./audit/audit-log.js";
import { auditPage } from "./audit/audit-page.js";
import type { AuditedWrites } from "./calls/audited-write.js";
import type { Brokers } from "./calls/brokers.js";
import type { RequestGuard } from "./calls/request-guard.js";
import { settlePending } from "./calls/settle-pending.js";
import type { ClusterSampler } from "./cluster/cluster-sampler.js";
import { watch } from "./cluster/watch.js";
import type { Descriptors } from "./decode/descriptors.js";
import { createJobCalls } from "./jobs/job-calls.js";
import type { Jobs } from "./jobs/jobs.js";
import { maskedBrokers } from "./masking/masked-brokers.js";
import type { MaskingRules } from "./masking/masking-rules.js";
import { inspectRecord } from "./scan/inspect-record.js";
import { sampleKeys } from "./scan/sample-keys.js";
import { search } from "./scan/search.js";
import { tail } from "./scan/tail.js";

/** What the service is made of. */
export interface PortalParts extends Pick<AlertCallParts, "alerts" | "rules" | "silences" | "webhook"> {
  readonly brokers: Brokers;
  readonly masking: MaskingRules;
  readonly access: Pick<PortalAccess, "isOn" | "logins" | "provider">;
  readonly sampler: ClusterSampler;
  readonly audit: AuditLog;
  readonly jobs: Jobs;
  readonly descriptors: Descriptors;
  readonly guard: RequestGuard;
  readonly auditedWrites: AuditedWrites;
  readonly facts: PortalFacts;
}

const searchesMax = 8;
const tailsMax = 32;
const watchesMax = 256;
const auditRequestValueBytes = 512;

/** Makes PortalService. */
export function createPortalService(parts: PortalParts): ServiceImpl<typeof PortalService> {
  const { brokers, masking, access, sampler, audit, jobs, alerts, descriptors, guard, auditedWrites, facts } = parts;
  const searches = createSlots("searches", searchesMax);
  const tails = createSlots("tails", tailsMax);
  const watches = createSlots("watches", watchesMax);

  const seenBy = (context: HandlerContext): Brokers => maskedBrokers(brokers, masking, portalCallerOf(context)?.role);

  /** A stream lives on after the login that it began with is over: it is asked with every frame. */
  async function* checked<T>(frames: AsyncIterable<T>, context: HandlerContext): AsyncGenerator<T> {
    for await (const frame of frames) {
      guard.check(context);
      yield frame;
    }
  }

  return {
    ...createJobCalls(jobs, brokers, masking, guard, auditedWrites),
    ...createAlertCalls(parts),
    async *watch(_request, context) {
      guard.check(context);
      watches.take(context);
      // A viewer's pages offer no writes, as those of a read-only portal.
      const isViewer = portalCallerOf(context)?.role === "viewer";
      const own = isViewer ? { ...facts, readOnly: true } : facts;
      yield* checked(watch(sampler, audit, jobs, alerts, own, context.signal), context);
    },
    async search(request, context) {
      guard.check(context);
      searches.take(context);
      return await search(seenBy(context), request, context.signal);
    },
    async *tail(request, context) {
      guard.check(context);
      tails.take(context);
      yield* checked(tail(seenBy(context), request, context.signal), context);
    },
    async inspectRecord(request, context) {
      guard.check(context);
      return await inspectRecord(seenBy(context), request, context.signal);
    },
    async produce(request, context) {
      const { topic, key, value, headers, headerList, partition } = request;
      // Whoever reads the audit may be somebody from whom it is masked.
      const shown = masking.hasRules(topic)
        ? create(PortalServiceProduceRequestSchema, { topic, partition })
        : { ...request, value: value.subarray(0, auditRequestValueBytes) };
      const stored = await auditedWrites.write(
        {
          action: "Produce",
          input: PortalServiceProduceRequestSchema,
          request: shown,
          topic,
          group: "",
          compared: false,
          run: ({ broker }) => broker.publish({ topic, keyBytes: key, value, headers, headerList, partition }),
        },
        context,
      );
      return { partition: stored.partition, offset: stored.offset };
    },
    async settlePending(request, context) {
      return await settlePending({ brokers, guard, auditedWrites }, request, context);
    },
    async getDescriptors({ topic }, context) {
      guard.check(context);
      const { descriptorSet, keyType, valueType, fileName } = descriptors.get(topic) ?? {};
      return { descriptorSet, keyType, valueType, fileName, kept: descriptors.kept };
    },
    async setDescriptors(request, context) {
      await auditedWrites.write(
        {
          action: "SetDescriptors",
          input: PortalServiceSetDescriptorsRequestSchema,
          request: { ...request, descriptorSet: new Uint8Array() },
          topic: request.topic,
          group: "",
          compared: false,
          run: () => descriptors.set(request),
        },
        context,
      );
      return {};
    },
    async listGroupEvents({ group }, context) {
      guard.check(context);
      const { events, watchedSinceMs } = sampler.timeline.events(group);
      return { events: [...events], watchedSinceMs: BigInt(watchedSinceMs) };
    },
    async sampleKeys({ topic }, context) {
      guard.check(context);
      searches.take(context);
      return await sampleKeys(seenBy(context), topic, context.signal);
    },
    async listAccess(_request, context) {
      guard.check(context);
      return listAccess(access, masking, facts.readOnly, context);
    },
    async listAudit(request, context) {
      guard.check(context);
      return auditPage(audit, request);
    },
  };
}

interface Slots {
  /** Holds a slot until the call ends. @throws GmqError `resource_exhausted` */
  take(context: HandlerContext): void;
}

function createSlots(what: string, max: number): Slots {
  let taken = 0;
  return {
    take({ signal }) {
      if (taken >= max) {
        throw new GmqError("resource_exhausted", `the portal is busy with other ${what}`, { limit: `${max} ${what}` });
      }
      taken++;
      // Connect fires the signal when a call has ended, however it did.
      signal.addEventListener("abort", () => taken--, { once: true });
    },
  };
}
