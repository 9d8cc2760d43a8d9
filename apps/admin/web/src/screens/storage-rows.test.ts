import { create } from "@bufbuild/protobuf";
import { PortalBrokerSchema } from "@gmq/protocol/messages";
import { expect, it } from "vitest";
import { storageRows } from "./storage-rows.js";

const linked = { url: "http://a", storageId: "s-1", version: "1.0.0", engine: "redis", ready: true };

it("shows a storage once, by its id, and for how many brokers it is ready", () => {
  const rows = storageRows([
    create(PortalBrokerSchema, { storages: [linked, { url: "http://b", reason: "not linked yet" }] }),
    create(PortalBrokerSchema, { storages: [{ ...linked, url: "http://other-name", ready: false, reason: "lost" }] }),
  ]);
  expect(rows).toEqual([
    {
      url: "http://a",
      storageId: "s-1",
      version: "1.0.0",
      engine: "redis",
      brokers: 2,
      readyFor: 1,
      reasons: ["lost"],
    },
    { url: "http://b", storageId: "", version: "", engine: "", brokers: 1, readyFor: 0, reasons: ["not linked yet"] },
  ]);
});

it("takes a broker that was never linked for one more of the same storage", () => {
  const rows = storageRows([
    create(PortalBrokerSchema, { storages: [{ url: "http://a", reason: "refused" }] }),
    create(PortalBrokerSchema, { storages: [linked] }),
  ]);
  expect(rows).toMatchObject([{ storageId: "s-1", brokers: 2, readyFor: 1, reasons: ["refused"] }]);
});
