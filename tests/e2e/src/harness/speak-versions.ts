/**
 * Preloaded into a process (`node --import`), makes it one that speaks the protocol versions of GMQ_TEST_PROTOCOL_VERSIONS, "1 2": the build of before or of after this
 * one, as far as agreeing on a version goes. There has been one version so far, so its frames are the same.
 */
import { limits } from "@gmq/protocol";

const [protocolVersionMin, protocolVersion] = (process.env["GMQ_TEST_PROTOCOL_VERSIONS"] ?? "").split(" ").map(Number);
if (!protocolVersionMin || !protocolVersion) throw new Error("GMQ_TEST_PROTOCOL_VERSIONS is not two numbers");
Object.assign(limits, { protocolVersionMin, protocolVersion });
