import { GmqError } from "@gmq/protocol";
import { describe, expect, it } from "vitest";
import { errorFields, errorText } from "./error-text.js";

describe("errorText", () => {
  it("names code, field and limit on one line", () => {
    const error = new GmqError("partition_not_found", "no partition 9\n  in orders", {
      field: "partition",
      limit: "0 to 3",
    });
    expect(errorText(error)).toBe("no partition 9 in orders (partition_not_found, field partition, limit 0 to 3)");
  });

  it("does not repeat a limit that the text has, nor name what there is not", () => {
    const error = new GmqError("record_too_large", "longer than 10 bytes", { field: "value", limit: "10 bytes" });
    expect(errorText(error)).toBe("longer than 10 bytes (record_too_large, field value)");
    expect(errorText(new GmqError("closed", "closed already"))).toBe("closed already (closed)");
  });
});

describe("errorFields", () => {
  it("leaves empty fields out", () => {
    expect(errorFields(new GmqError("closed", "closed already"))).toEqual({
      code: "closed",
      message: "closed already",
      retryable: false,
    });
    expect(errorFields(new GmqError("invalid_name", "bad", { field: "topic", limit: "249 bytes" }))).toMatchObject({
      field: "topic",
      limit: "249 bytes",
    });
  });
});
