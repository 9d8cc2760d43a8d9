/** @gmq/client: producers, consumers and administration. */
export { deadLetterTopic, type ErrorCode, GmqError } from "@gmq/protocol";
export type {
  Admin,
  BrowsedRecord,
  GroupDescription,
  GroupMemberDescription,
  GroupPartitionDescription,
  GroupSummary,
  Status,
} from "./admin.js";
export type { CallOptions } from "./call-options.js";
export { type ConnectOptions, connect, type Gmq } from "./connect.js";
export type { ConsumerMode, ConsumerOptions, OnInvalid, Start } from "./consumer-options.js";
export type {
  DeadLetter,
  DeadLetterAdmin,
  DeadLetterFilter,
  DeadLetterList,
  DeadLetterPlace,
  DeadLetterQueue,
  DeadLetterReason,
  DiscardOptions,
  RedriveOptions,
  RedriveProgress,
  RedriveResult,
} from "./dead-letter-admin.js";
export type {
  GroupCondition,
  GroupMove,
  GroupReset,
  PendingConsumer,
  PendingRecord,
  PendingRecords,
  PendingSettle,
  PendingSettlement,
  PendingVerb,
  ResetOptions,
} from "./group-admin.js";
export type { Instrumentation, SendEnd, SendStart, SendTrace, SettleStart } from "./instrumentation.js";
export type { Message } from "./message.js";
export type { Consumer, MessageBatch } from "./message-reader.js";
export type { Producer } from "./producer.js";
export type { ProducerOptions } from "./producer-options.js";
export type { ProducerRecord } from "./producer-record.js";
export type { SendResult, StoredRecord } from "./record-waiters.js";
export { Reject } from "./reject.js";
export type { StallReason } from "./stall-watch.js";
export type { SubscribeOptions } from "./subscribe-options.js";
export type { Handler, Subscription } from "./subscription.js";
export type { SubscriptionEvent } from "./subscription-events.js";
export { type Topic, type TopicLike, type TopicOptions, topic, type ValueCodec } from "./topic.js";
export type {
  PartitionDescription,
  PurgedPartition,
  PurgeOptions,
  Retention,
  TopicDescription,
  TopicSettings,
} from "./topic-admin.js";
export type { TopicsLike } from "./topic-list.js";
