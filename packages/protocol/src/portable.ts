/** `@gmq/protocol/portable`: the part of this package that needs nothing of Node and so runs in browsers: names, limits, errors, a queue, and what a crash loses. */
export { crashLosses } from "./crash-losses.js";
export { type ErrorCode, errorTable, GmqError, isErrorCode } from "./errors.js";
export { createFifo } from "./fifo.js";
export { limits } from "./limits.js";
export { checkName } from "./names.js";
export { isTopicPattern, topicPattern } from "./topic-pattern.js";
