/** `@gmq/client/testing`: a whole GMQ in this process, for tests of programs that use it. */
export { startTestGmq, type TestGmq, type TestGmqOptions } from "./testing/start-test-gmq.js";
