/**
 * A whole OpenID Connect provider as a process. Argument: client id, client secret and people as JSON. Prints its issuer once it listens, then waits for a line on
 * standard input, the portal's URL, to which alone it sends browsers back.
 */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

interface Settings {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly people: Readonly<Record<string, { readonly groups: readonly string[] }>>;
}

const { clientId, clientSecret, people } = JSON.parse(process.argv[2] ?? "{}") as Settings;
let answer: RequestListener = (_request, response) => {
  response.writeHead(503).end();
};
const server = createServer((request, response) => answer(request, response));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
process.stdout.write(`issuer ${issuer}\n`);

for await (const portal of createInterface({ input: process.stdin })) {
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [`${portal}/access/oidc/callback`],
        post_logout_redirect_uris: [`${portal}/`],
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    features: {
      // Its pages for development: any name and any password log in.
      devInteractions: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    pkce: { required: () => true },
    cookies: { keys: ["a key of one test"] },
    findAccount: (_context, sub) => ({
      accountId: sub,
      claims: () => ({ sub, preferred_username: sub, groups: [...(people[sub]?.groups ?? [])] }),
    }),
  });
  const callback = provider.callback();
  answer = (request, response) => void callback(request, response);
  process.stdout.write(`serves ${portal}\n`);
}
