/** Protobuf descriptors that values of a topic are decoded with, one file a topic in `<data>/descriptors`; without a data folder they are in memory. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFileRegistry, fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Logger } from "@gmq/log";
import { checkName, GmqError } from "@gmq/protocol";
import {
  type PortalServiceSetDescriptorsRequest,
  PortalServiceSetDescriptorsRequestSchema,
} from "@gmq/protocol/messages";

/** Descriptors by topic. */
export interface Descriptors {
  /** True: on disk. */
  readonly kept: boolean;
  get(topic: string): PortalServiceSetDescriptorsRequest | undefined;
  /** @throws GmqError `invalid_argument` when they are none, or do not have the types; `resource_exhausted` */
  set(request: PortalServiceSetDescriptorsRequest): Promise<void>;
}

const bytesMax = 512 * 1024;
const topicsMax = 200;

/** Opens what is kept. @throws GmqError `invalid_argument` (field `data`) */
export async function openDescriptors(data: string | undefined, logger: Logger): Promise<Descriptors> {
  const known = new Map<string, PortalServiceSetDescriptorsRequest>();
  const folder = data === undefined ? undefined : join(data, "descriptors");
  if (folder !== undefined) {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      for (const name of (await readdir(folder)).filter((file) => file.endsWith(".json"))) {
        const kept = await load(join(folder, name), logger);
        if (kept !== undefined) known.set(kept.topic, kept);
      }
    } catch (cause) {
      throw new GmqError("invalid_argument", `descriptors cannot be kept in ${folder}: ${String(cause)}`, {
        field: "data",
        cause,
      });
    }
  }

  return {
    kept: folder !== undefined,
    get: (topic) => known.get(topic),
    async set(request) {
      const topic = checkName("topic", request.topic);
      const path = folder === undefined ? undefined : join(folder, `${topic}.json`);
      if (request.descriptorSet.length === 0) {
        if (path !== undefined) await rm(path, { force: true });
        known.delete(topic);
        return;
      }
      check(request);
      if (!known.has(topic) && known.size >= topicsMax) {
        throw new GmqError("resource_exhausted", "too many topics have descriptors", { limit: `${topicsMax} topics` });
      }
      if (path !== undefined) {
        await writeFile(`${path}.new`, JSON.stringify(toJson(PortalServiceSetDescriptorsRequestSchema, request)), {
          mode: 0o600,
        });
        await rename(`${path}.new`, path);
      }
      known.set(topic, request);
    },
  };
}

async function load(path: string, logger: Logger): Promise<PortalServiceSetDescriptorsRequest | undefined> {
  try {
    return fromJson(PortalServiceSetDescriptorsRequestSchema, JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    logger.warn("descriptors cannot be read and are left out", { path, error });
    return undefined;
  }
}

function check({ descriptorSet, keyType, valueType }: PortalServiceSetDescriptorsRequest): void {
  if (descriptorSet.length > bytesMax) {
    throw new GmqError("invalid_argument", `the descriptor set has ${descriptorSet.length} bytes`, {
      field: "descriptor_set",
      limit: `${bytesMax} bytes`,
    });
  }
  let registry: ReturnType<typeof createFileRegistry>;
  try {
    registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  } catch (cause) {
    throw new GmqError("invalid_argument", `this is no FileDescriptorSet with all its imports: ${String(cause)}`, {
      field: "descriptor_set",
      limit: "what `buf build -o` or `protoc --include_imports --descriptor_set_out` write",
      cause,
    });
  }
  for (const [field, type] of [
    ["key_type", keyType],
    ["value_type", valueType],
  ] as const) {
    if (type === "" || registry.getMessage(type) !== undefined) continue;
    throw new GmqError("invalid_argument", `the descriptor set has no message ${type}`, { field });
  }
}
