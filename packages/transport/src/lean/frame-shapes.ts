/**
 * Makes decoded messages of the hot frames in one piece: V8 knows the shape of a literal, while fields set by names that differ from type to type cost a look-up each.
 * Keyed by the names of a type's members as its descriptor lists them, `?` behind those that are left out when they are not set: a type that changes
 * does not find a shape that is no longer its own. Types that come once in a session need none.
 */

/** Makes a message from its type name and its members' values. */
export type Construct = (...values: unknown[]) => object;

export const frameShapes: Readonly<Record<string, Construct>> = {
  "correlationId frame": ($typeName, correlationId, frame) => ({ $typeName, correlationId, frame }),
  "nextMs answer": ($typeName, nextMs, answer) => ({ $typeName, nextMs, answer }),
  results: ($typeName, results) => ({ $typeName, results }),
  partitions: ($typeName, partitions) => ({ $typeName, partitions }),

  // Publish: client to broker, broker to storage, and back.
  "topic batches": ($typeName, topic, batches) => ({ $typeName, topic, batches }),
  "partition batch?": ($typeName, partition, batch) =>
    batch === undefined ? { $typeName, partition } : { $typeName, partition, batch },
  appends: ($typeName, appends) => ({ $typeName, appends }),
  "topic partition batches": ($typeName, topic, partition, batches) => ({ $typeName, topic, partition, batches }),
  "recordCount codec crc32 producerId producerEpoch firstSequence uncompressedBytes dedupeId? records deliverAtMs": (
    $typeName,
    recordCount,
    codec,
    crc32,
    producerId,
    producerEpoch,
    firstSequence,
    uncompressedBytes,
    dedupeId,
    records,
    deliverAtMs,
  ) => {
    const batch = {
      $typeName,
      recordCount,
      codec,
      crc32,
      producerId,
      producerEpoch,
      firstSequence,
      uncompressedBytes,
      records,
      deliverAtMs,
    };
    return dedupeId === undefined ? batch : { ...batch, dedupeId };
  },
  "error? firstOffset duplicate appendTimeMs scheduled throttleMs": (
    $typeName,
    error,
    firstOffset,
    duplicate,
    appendTimeMs,
    scheduled,
    throttleMs,
  ) => {
    const stored = { $typeName, firstOffset, duplicate, appendTimeMs, scheduled, throttleMs };
    return error === undefined ? stored : { ...stored, error };
  },

  // Fetch and deliver.
  "subscriptionId records bytes": ($typeName, subscriptionId, records, bytes) => ({
    $typeName,
    subscriptionId,
    records,
    bytes,
  }),
  fetches: ($typeName, fetches) => ({ $typeName, fetches }),
  "fetch?": ($typeName, fetch) => (fetch === undefined ? { $typeName } : { $typeName, fetch }),
  "ownership? position bytesMax recordsMax": ($typeName, ownership, position, bytesMax, recordsMax) => {
    const place = { $typeName, position, bytesMax, recordsMax };
    return ownership === undefined ? place : { ...place, ownership };
  },
  "group topic partition memberId epoch shared": ($typeName, group, topic, partition, memberId, epoch, shared) => ({
    $typeName,
    group,
    topic,
    partition,
    memberId,
    epoch,
    shared,
  }),
  "partitions more": ($typeName, partitions, more) => ({ $typeName, partitions, more }),
  "error? entries position endOffset": ($typeName, error, entries, position, endOffset) =>
    error === undefined
      ? { $typeName, entries, position, endOffset }
      : { $typeName, entries, position, endOffset, error },
  "baseOffset recordCount meta body": ($typeName, baseOffset, recordCount, meta, body) => ({
    $typeName,
    baseOffset,
    recordCount,
    meta,
    body,
  }),
  "assignmentId entries endOffset": ($typeName, assignmentId, entries, endOffset) => ({
    $typeName,
    assignmentId,
    entries,
    endOffset,
  }),
  "entry? attempts handBacks?": ($typeName, entry, attempts, handBacks) => {
    const delivered = entry === undefined ? { $typeName, attempts } : { $typeName, attempts, entry };
    return handBacks === undefined ? delivered : { ...delivered, handBacks };
  },

  // Settle.
  "assignmentId ranges": ($typeName, assignmentId, ranges) => ({ $typeName, assignmentId, ranges }),
  "firstOffset lastOffset verb delayMs inPlace reason errorText": (
    $typeName,
    firstOffset,
    lastOffset,
    verb,
    delayMs,
    inPlace,
    reason,
    errorText,
  ) => ({ $typeName, firstOffset, lastOffset, verb, delayMs, inPlace, reason, errorText }),
  settles: ($typeName, settles) => ({ $typeName, settles }),
  "ownership? entries": ($typeName, ownership, entries) =>
    ownership === undefined ? { $typeName, entries } : { $typeName, entries, ownership },
  "baseOffset recordCount ranges": ($typeName, baseOffset, recordCount, ranges) => ({
    $typeName,
    baseOffset,
    recordCount,
    ranges,
  }),
  "assignmentId refusals": ($typeName, assignmentId, refusals) => ({ $typeName, assignmentId, refusals }),
  "error? refusals": ($typeName, error, refusals) =>
    error === undefined ? { $typeName, refusals } : { $typeName, refusals, error },

  // Signals.
  signals: ($typeName, signals) => ({ $typeName, signals }),
  about: ($typeName, about) => ({ $typeName, about }),
  "topic partition endOffset": ($typeName, topic, partition, endOffset) => ({ $typeName, topic, partition, endOffset }),
};
