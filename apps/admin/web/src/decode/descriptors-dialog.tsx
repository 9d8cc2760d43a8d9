import type { PortalServiceGetDescriptorsResponse } from "@gmq/protocol/messages";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook, Select } from "../parts/field.js";
import { formatBytes } from "../parts/format.js";
import { Loading, ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { portal } from "../rpc.js";
import { protobufTypesOf } from "./protobuf-registry.js";
import { useDescriptors } from "./use-protobuf.js";

/** Uploads the descriptor set of a topic and says which message its keys and values are. */
export function DescriptorsDialog({
  topic,
  onClose,
}: {
  readonly topic: string;
  readonly onClose: () => void;
}): ReactNode {
  const kept = useDescriptors(topic);
  return (
    <Dialog title={`Protobuf of ${topic}`} onClose={onClose}>
      {kept.error !== null && <ProblemNotice error={kept.error} />}
      {kept.data === undefined ? (
        kept.error === null && <Loading what="descriptors" />
      ) : (
        <DescriptorsForm topic={topic} kept={kept.data} onClose={onClose} />
      )}
    </Dialog>
  );
}

interface Uploaded {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly names: readonly string[];
  readonly problem: string;
}

function uploadedOf(bytes: Uint8Array, name: string): Uploaded {
  if (bytes.length === 0) return { bytes, name, names: [], problem: "" };
  try {
    return { bytes, name, names: protobufTypesOf(bytes).names, problem: "" };
  } catch (error) {
    const problem = `No FileDescriptorSet with all its imports (${error instanceof Error ? error.message : String(error)})`;
    return { bytes, name, names: [], problem };
  }
}

function DescriptorsForm({
  topic,
  kept,
  onClose,
}: {
  readonly topic: string;
  readonly kept: PortalServiceGetDescriptorsResponse;
  readonly onClose: () => void;
}): ReactNode {
  const queries = useQueryClient();
  const [file, setFile] = useState(() => uploadedOf(kept.descriptorSet, kept.fileName));
  const [keyType, setKeyType] = useState(kept.keyType);
  const [valueType, setValueType] = useState(kept.valueType);
  const save = useMutation({
    mutationFn: (descriptorSet: Uint8Array) =>
      portal.setDescriptors({ topic, descriptorSet, keyType, valueType, fileName: file.name }),
    onSuccess: async (_done, descriptorSet) => {
      await queries.invalidateQueries({ queryKey: ["descriptors", topic] });
      say(descriptorSet.length === 0 ? `Removed the descriptors of ${topic}` : `Kept the descriptors of ${topic}`);
      onClose();
    },
  });
  async function take(chosen: File): Promise<void> {
    setFile(uploadedOf(new Uint8Array(await chosen.arrayBuffer()), chosen.name));
    setKeyType("");
    setValueType("");
  }
  const options = [["", "none"] as const, ...file.names.map((name) => [name, name] as const)];
  return (
    <form
      className="flex flex-col gap-4 text-[13px]"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(file.bytes);
      }}
    >
      <Field
        label="Descriptor set"
        problem={file.problem === "" ? undefined : file.problem}
        hint="What `buf build -o set.binpb` or `protoc --include_imports --descriptor_set_out` write; at most 512 KB"
      >
        {(ids) => (
          <input
            {...ids}
            type="file"
            className={inputLook()}
            onChange={(event) => {
              const [chosen] = event.target.files ?? [];
              if (chosen !== undefined) void take(chosen);
            }}
          />
        )}
      </Field>
      {file.bytes.length > 0 && file.problem === "" && (
        <>
          <p className="text-muted">
            {file.name} · {formatBytes(file.bytes.length)} · {file.names.length} messages
          </p>
          <Field label="Values are">
            {(ids) => <Select {...ids} options={options} value={valueType} onChange={setValueType} />}
          </Field>
          <Field label="Keys are">
            {(ids) => <Select {...ids} options={options} value={keyType} onChange={setKeyType} />}
          </Field>
        </>
      )}
      <p className="text-xs text-muted">
        {kept.kept
          ? "Kept by the portal, for everybody who looks at the topic."
          : "In memory only: gone when the portal ends (see --data)."}
      </p>
      {save.error !== null && <ProblemNotice error={save.error} />}
      <div className="flex flex-wrap justify-end gap-2">
        {kept.descriptorSet.length > 0 && (
          <Button disabled={save.isPending} onClick={() => save.mutate(new Uint8Array())}>
            Remove
          </Button>
        )}
        <Button onClick={onClose}>Cancel</Button>
        <Button
          look="primary"
          type="submit"
          disabled={
            file.bytes.length === 0 || file.problem !== "" || (keyType === "" && valueType === "") || save.isPending
          }
        >
          Keep
        </Button>
      </div>
    </form>
  );
}
