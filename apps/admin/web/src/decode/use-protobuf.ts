import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { portal } from "../rpc.js";

/** Reads bytes as a message; gives JSON. @throws Error when they are none */
export type DecodeProtobuf = (bytes: Uint8Array) => string;

/** How keys and values of a topic are decoded, where the topic has descriptors with a type for them. */
export interface TopicProtobuf {
  readonly key: DecodeProtobuf | undefined;
  readonly value: DecodeProtobuf | undefined;
}

/** The descriptors that were uploaded for a topic. */
export function useDescriptors(topic: string) {
  return useQuery({
    queryKey: ["descriptors", topic],
    queryFn: ({ signal }) => portal.getDescriptors({ topic }, { signal }),
    staleTime: 30_000,
  });
}

/** The topic's protobuf decoders; nothing is loaded while `wanted` is false. */
export function useProtobuf(topic: string, wanted: boolean): TopicProtobuf {
  const { data } = useQuery({
    queryKey: ["descriptors", topic, "types"],
    queryFn: async ({ signal }) => {
      const found = await portal.getDescriptors({ topic }, { signal });
      if (found.descriptorSet.length === 0) return undefined;
      const { protobufTypesOf } = await import("./protobuf-registry.js");
      return { ...found, types: protobufTypesOf(found.descriptorSet) };
    },
    enabled: wanted,
    staleTime: 30_000,
  });
  return useMemo(() => {
    if (data === undefined) return { key: undefined, value: undefined };
    const { types, keyType, valueType } = data;
    const of = (name: string): DecodeProtobuf | undefined =>
      name === "" ? undefined : (bytes) => types.decode(name, bytes);
    return { key: of(keyType), value: of(valueType) };
  }, [data]);
}
