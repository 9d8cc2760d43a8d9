/** @gmq/storage/wire: engine values as wire messages and back, the same for storage services and brokers. */
export {
  groupToMessage,
  moveToMessage,
  offsetsToMessage,
  resetFromMessage,
  startFromMessage,
} from "./wire/group-messages.js";
export { refusalToMessage } from "./wire/record-messages.js";
export { configFromMessage, purgedToMessage, statsToMessage, topicToMessage } from "./wire/topic-messages.js";
