/** @gmq/protocol: names, limits, errors, partition hash and batch codec. Generated messages are under `@gmq/protocol/messages`. */

export { batchChecksum, compressBatch, decompressBatch } from "./batch/compression.js";
export {
  countRecords,
  type DecodedHeader,
  type DecodedRecord,
  decodeRecords,
  indexRecords,
  timestampBefore,
} from "./batch/decode.js";
export { decodeEntry, type PlacedRecord } from "./batch/decode-entry.js";
export {
  type BatchEncoder,
  createBatchEncoder,
  type EncodableHeader,
  type EncodableRecord,
  encodedRecordBytes,
  encodeRecords,
  type SpareBuffers,
} from "./batch/encode.js";
export {
  type BatchMeta,
  type CodecName,
  codecNumbers,
  decodeEntryMeta,
  type EntryMeta,
  encodeEntryMeta,
} from "./batch/entry-meta.js";
export { encodeSingleBatch, type SingleBatch } from "./batch/single-batch.js";
export {
  addDeadLetterFacts,
  boundedDedupeId,
  type DeadLetterFacts,
  deadLetterTopic,
  isDeadLetterTopicName,
  ownHeaders,
  readDeadLetterFacts,
  readRedrives,
  redriveGroup,
  redrivenHeaders,
} from "./dead-letters.js";
export {
  type ErrorCode,
  errorTable,
  GmqError,
  type GmqErrorContext,
  type GrpcStatusName,
  isErrorCode,
} from "./errors.js";
export { createFifo, type Fifo } from "./fifo.js";
export { createInFlight, type InFlight } from "./in-flight.js";
export { type LimitName, limits } from "./limits.js";
export { checkName, type NameField } from "./names.js";
export { fnv1a32, partitionForKey } from "./partition-hash.js";
export { createPerSecond, type PerSecond } from "./per-second.js";
export { agreeOnVersion, checkAgreedVersion, ownVersions, type SpokenVersions } from "./protocol-version.js";
export { hasSeededBug, type SeededBug } from "./seeded-bug.js";
export { isTopicPattern, topicPattern } from "./topic-pattern.js";
