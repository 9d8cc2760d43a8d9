/** @gmq/broker: sessions, publish, dispatch and groups over a storage engine. */
export { type Broker, type BrokerOptions, createBroker } from "./broker.js";
export type { BrokerLoad } from "./meter.js";
