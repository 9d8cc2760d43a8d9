/** TLS and ACL users for servers of tests, as docs/security.md has them: the engine's user may what is under its keys, and nothing of administration. */
import { certificateFolder, createAuthority } from "../../service/test/certificates.js";
import type { SentinelSecurity } from "./redis-sentinels.js";
import { askRedis, type OwnRedis, type RedisSecurity } from "./redis-server.js";

export interface SecuredRedis {
  /** For servers that other nodes and clients know by this name. */
  readonly servers: RedisSecurity;
  readonly sentinels: SentinelSecurity;
  /** How the engine calls servers and sentinels. */
  readonly engine: RedisSecurity["options"];
  readonly sentinelEngine: { readonly sentinelUsername: string; readonly sentinelPassword: string };
  stop(): Promise<void>;
}

/** Lets the engine use the keys of a store, and no others, as docs/security.md says. Redis takes a pattern to listen to only where the very same is allowed. */
export async function allowPrefix(
  servers: readonly OwnRedis[],
  prefix: string,
  security: RedisSecurity,
): Promise<void> {
  const rules = ["SETUSER", "gmq", `~${prefix}:*`, `&${prefix}:signal:*`];
  for (const { port } of servers) await askRedis(port, "ACL", rules, security);
}

/** Makes certificates and users. `names`: those that the servers' certificate is good for. */
export async function secureRedis(names?: readonly string[]): Promise<SecuredRedis> {
  const authority = await createAuthority();
  const folder = await certificateFolder();
  const { cert, key } = await authority.server({ alsoClient: true, ...(names === undefined ? {} : { names }) });
  const files = {
    "tls-cert-file": await folder.write("cert.pem", cert),
    "tls-key-file": await folder.write("key.pem", key),
    "tls-ca-cert-file": await folder.write("ca.pem", authority.ca),
    "tls-auth-clients": "no",
    "tls-replication": "yes",
  };
  const users = [
    "user default off",
    "user root on >root-pass ~* &* +@all",
    "user gmq on >gmq-pass +@all -@admin -@dangerous +info",
  ];
  const settings = {
    ...files,
    "tls-cluster": "yes",
    aclfile: await folder.write("users.acl", `${users.join("\n")}\n`),
    masteruser: "root",
    masterauth: "root-pass",
  };
  const tls = { ca: authority.ca };
  const servers = {
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    options: { tls, username: "root", password: "root-pass" },
  };
  return {
    servers,
    sentinels: {
      servers,
      lines: [
        ...Object.entries(files).map(([name, value]) => `${name} ${value}`),
        "user default off",
        "user watch on >watch-pass ~* &* +@all",
        "sentinel sentinel-user watch",
        "sentinel sentinel-pass watch-pass",
      ],
      masterLines: ["sentinel auth-user MASTER root", "sentinel auth-pass MASTER root-pass"],
      options: { tls, username: "watch", password: "watch-pass" },
    },
    engine: { tls, username: "gmq", password: "gmq-pass" },
    sentinelEngine: { sentinelUsername: "watch", sentinelPassword: "watch-pass" },
    stop: folder.remove,
  };
}
