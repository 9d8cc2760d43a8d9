/** @gmq/broker: sessions, publish, dispatch and groups over a storage engine. */

export { type Broker, type BrokerOptions, createBroker } from "./broker.js";
export { type BrokerLimits, brokerLimitRanges, brokerLimits } from "./broker-limits.js";
export type { BrokerLoad } from "./meter.js";
