/**
 * Preloaded into a process (`node --import`), gives it the network of a container: names of other services lead to their addresses, a service that listens everywhere
 * listens on its own, and it reaches itself at 127.0.0.1. GMQ_TEST_HOSTS: addresses by name; GMQ_TEST_HOST: its own.
 */
import dns from "node:dns";
import { Server, Socket } from "node:net";

const hosts = JSON.parse(process.env["GMQ_TEST_HOSTS"] ?? "{}") as Readonly<Record<string, string>>;
const own = process.env["GMQ_TEST_HOST"] ?? "127.0.0.1";

type Call = (this: unknown, ...args: unknown[]) => unknown;

const lookup = dns.lookup as unknown as Call;
const lookupHere: Call = function (name, ...rest) {
  return lookup.call(this, hosts[String(name)] ?? name, ...rest);
};
const listen = Server.prototype.listen as Call;
const listenHere: Call = function (...args) {
  return listen.apply(
    this,
    args.map((given) => (given === "0.0.0.0" ? own : given)),
  );
};
const connect = Socket.prototype.connect as Call;
const connectHere: Call = function (...args) {
  const [options] = (Array.isArray(args[0]) ? args[0] : args) as [{ host?: unknown } | undefined];
  if (typeof options === "object" && options.host === "127.0.0.1") options.host = own;
  return connect.apply(this, args);
};
Object.assign(dns, { lookup: lookupHere });
Object.assign(Server.prototype, { listen: listenHere });
Object.assign(Socket.prototype, { connect: connectHere });
