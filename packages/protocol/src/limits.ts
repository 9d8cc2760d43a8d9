/**
 * The bounds of the wire, the log and the store, with their units. What is refused names the limit that it met.
 * `*Max` values are the largest accepted; defaults of configurable settings carry `Default`.
 */
export const limits = {
  /** Version of the session and link frames that this build speaks. */
  protocolVersion: 1,
  /** Oldest version that this build still answers. */
  protocolVersionMin: 1,

  /** Characters of a topic, group or member name. */
  nameLengthMax: 249,
  /** Bytes of a client id or version text shown to operators. */
  clientTextBytesMax: 256,
  partitionsMax: 4_096,
  partitionsDefault: 4,

  /** Retention of a topic, and its byte budget; the largest that may be asked for. */
  retentionMsMax: 100 * 365 * 24 * 60 * 60 * 1_000,
  retentionRecordsMax: 1_000_000_000_000,
  topicBytesMax: 1024 ** 5,
  /** Smallest byte budget of a topic or store: one entry has to fit. */
  byteBudgetMin: 1024,
  /** Of a byte budget: where producers begin to be slowed, and where a full one opens again. */
  budgetLowWatermark: 0.9,
  /** The longest that a producer's answer is held back between the low watermark and a full budget. */
  throttleMsMax: 250,
  /** How often a storage process looks for what retention lets go; also after appends that cross a bound. */
  retentionIntervalMsDefault: 10_000,

  /** Bytes of one encoded record: key, value, headers and framing. */
  recordBytesMax: 2 * 1024 * 1024,
  /** Bytes of one batch as sent; a compressed one may not unpack to more than `batchUncompressedBytesMax`. */
  batchBytesMax: 4 * 1024 * 1024,
  batchUncompressedBytesMax: 16 * 1024 * 1024,
  batchRecordsMax: 65_536,
  headersMax: 256,
  headerKeyBytesMax: 1_024,
  dedupeIdBytesMax: 256,
  /** Bytes of a joined log entry; one larger batch still gets an entry of its own. With its meta it stays below 1 MiB, a size class of Redis' allocator. */
  entryBytesMax: 1023 * 1024,
  /** Batches joined into one log entry. */
  entryBatchesMax: 4_096,
  /** Records joined into one log entry: what is known of each of them fits one page of a claim. */
  entryRecordsMax: 65_536,

  /** Bytes of one frame of a session or link. */
  frameBytesMax: 8 * 1024 * 1024,
  /** Items of all lists in one frame, or in the message of a call: two bytes of it can be a message, which takes fifty. Twice what a settlement of the size of a frame has. */
  listItemsPerFrameMax: 524_288,
  /** Bytes that a frame stream may hold unsent before `send` asks its caller to wait. */
  sendBufferBytesMax: 4 * 1024 * 1024,
  /** Unsent bytes at which a peer that does not read is cut off. */
  sendBufferBytesFatal: 64 * 1024 * 1024,
  /** A stream that was closed has this long to send what is queued; then it is reset. */
  closeTimeoutMs: 10_000,

  subscriptionsPerSessionMax: 64,
  topicsPerSubscriptionMax: 1_024,
  topicPatternsPerSubscriptionMax: 16,
  /** Credit that a subscription may hold. */
  creditRecordsMax: 1_000_000,
  creditBytesMax: 1024 * 1024 * 1024,
  /** Ranges of one settlement; the answer that refuses each of them still fits a frame. */
  settleRangesPerFrameMax: 32_768,
  /** 49 days: delays travel as 32-bit numbers. */
  retryDelayMsMax: 49 * 24 * 60 * 60 * 1_000,
  /** Records of one group and partition that wait in a broker for their retry; from there on it reads nothing new of the partition until fewer do. */
  delayedRecordsMax: 100_000,
  /** Bytes of the reason a record is rejected with, and of the text of the error behind it; clients cut longer ones. */
  rejectReasonBytesMax: 256,
  rejectErrorTextBytesMax: 1_024,
  /** A broker sends acks and rejects again for this long when the store does not answer; then the assignment ends and what is unsettled comes again. */
  settleResendMsMax: 60_000,
  /** Records copied to a dead-letter topic in one append. */
  deadLettersPerAppendMax: 256,
  /** Open dead letters that one listing looks at; above it the counts are of a part. */
  deadLettersListedMax: 10_000,
  /** Dead letters that one redrive may name one by one. */
  redriveSelectedMax: 10_000,
  /** Records a second of a redrive. */
  redriveRateMax: 1_000_000,
  /** How far ahead a record may be scheduled. */
  deliverAfterMsMax: 366 * 24 * 60 * 60 * 1_000,
  /** How long a record may be told to live, from its send or its delivery time. */
  ttlMsMax: 366 * 24 * 60 * 60 * 1_000,
  inFlightPublishBytesMax: 64 * 1024 * 1024,

  sessionTimeoutMsMin: 1_000,
  sessionTimeoutMsDefault: 10_000,
  sessionTimeoutMsMax: 600_000,
  heartbeatIntervalMsDefault: 3_000,
  /** Every reader looks at its log this often even without a signal. */
  safetyIntervalMsDefault: 30_000,
  /** A new session has this long to say hello. */
  helloTimeoutMsDefault: 10_000,
  revokeTimeoutMsDefault: 5_000,
  membersPerGroupMax: 4_096,
  /** Partitions of all topics that a group has consumed: they are in one stored document. */
  partitionsPerGroupMax: 65_536,
  /** Changes of one group that wait in a storage process. */
  groupChangesWaitingMax: 8_192,
  /** A reset that was cut off holds its partitions no longer than this. */
  groupHoldMsMax: 30_000,
  /** Groups whose topics a storage process remembers to have looked at; past it all are looked at again. */
  groupsWatchedMax: 65_536,

  browseRecordsDefault: 100,
  browseRecordsMax: 1_000,
  /** Bytes asked of the log in one fetch. */
  fetchBytesDefault: 1024 * 1024,
  /** Bytes that one fetch of a partition may ask for over the wire: its answer, with one larger batch, fits a frame. */
  fetchBytesMax: 2 * 1024 * 1024,

  /** Of one page of a claim, or of a look at what is pending: entries, and records that it tells something of, of each kind; one larger entry gets a page of its own. A page fits a frame. */
  claimItemsMax: 65_536,

  /** Bytes of appends that a broker has on the way to one storage service; more wait in the broker. */
  linkBytesMax: 32 * 1024 * 1024,
  /** Bytes of just appended entries that a storage process keeps for consumers that keep up. */
  recentAppendedBytesMax: 16 * 1024 * 1024,
  /** Bytes of just read entries that it keeps for groups that read a log beside each other. */
  recentReadBytesMax: 64 * 1024 * 1024,
  /** How long it keeps either. */
  recentAgeMsMax: 1_000,
  /** Bytes that wait in an engine for their append turn. */
  appendQueueBytesMax: 128 * 1024 * 1024,

  /** Producers remembered per partition for deduplication, least recently used leave first. */
  producersPerPartitionMax: 10_000,
  /** Batches remembered per producer: a retry within them is answered with its first offset. */
  batchesPerProducer: 8,
  /** Dedupe ids remembered per partition. */
  dedupeIdsPerPartitionMax: 100_000,
} as const;

/** Name of a limit, as errors quote it. */
export type LimitName = keyof typeof limits;
