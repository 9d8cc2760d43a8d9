/** The broker as a program, for those who embed it. */
export { type BrokerConfig, brokerBehaviour, brokerConfigOptions, brokerSchema } from "./config.js";
export { openBrokerPort, type RunningBroker, serveBroker, startBroker } from "./start-broker.js";
