import type { RunningStandalone } from "./start-standalone.js";

/** What a person sees when everything is up: where it listens, where the data is, and what to try first. */
export function banner({ brokerUrl, storageUrl, adminUrl, store }: RunningStandalone, command: string): string {
  const broker = brokerUrl === "http://127.0.0.1:50051" ? "" : ` --broker ${brokerUrl}`;
  return `
GMQ is up

  broker   ${brokerUrl}   gRPC, gRPC-web, Connect and JSON
  storage  ${storageUrl}
  portal   ${adminUrl}
  data     ${store}

Try it in another terminal:

  ${command} publish greetings "hello" --key user-1${broker}
  ${command} consume greetings --group demo${broker}

Ctrl-C drains and ends.
`;
}
