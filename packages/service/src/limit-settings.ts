import { z } from "zod";
import type { ListenLimits } from "./listen.js";

/** Bounds of a port as settings, the same for every deployable. */
export const limitFields = {
  connectionsMax: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .describe("connections at once, 1 to 1000000; more are refused"),
  connectionsPerSecondAndAddressMax: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(5_000)
    .describe("new connections of one address in a second, 1 to 1000000; more are told to come later"),
  streamsPerConnectionMax: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe("calls at once on one HTTP/2 connection, 1 to 100000"),
  sessionsPerConnectionMax: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(64)
    .describe("sessions at once on one HTTP/2 connection, 1 to 100000; more are refused"),
  headerBytesMax: z
    .number()
    .int()
    .min(1_024)
    .max(1_048_576)
    .default(16_384)
    .describe("bytes of a request's headers, 1024 to 1048576"),
  handshakeTimeoutMs: z
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(10_000)
    .describe("ms in which a new connection says what it speaks, or finishes its TLS handshake, 100 to 600000"),
};

/** How they are named on the command line. */
export const limitFlags = { handshakeTimeoutMs: { placeholder: "ms" } } as const;

/** The bounds as `listen` takes them. */
export function listenLimits(
  config: {
    readonly [Key in keyof typeof limitFields]: z.output<(typeof limitFields)[Key]>;
  },
): ListenLimits {
  return {
    connectionsMax: config.connectionsMax,
    connectionsPerSecondAndAddressMax: config.connectionsPerSecondAndAddressMax,
    streamsPerConnectionMax: config.streamsPerConnectionMax,
    sessionsPerConnectionMax: config.sessionsPerConnectionMax,
    headerBytesMax: config.headerBytesMax,
    firstBytesTimeoutMs: config.handshakeTimeoutMs,
  };
}
