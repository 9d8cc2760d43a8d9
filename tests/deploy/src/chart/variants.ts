/** What the chart is tried with. Together they set every value that values.yaml names. */
export const everything = {
  redis: { enabled: true },
  image: { registry: "registry.example.org/", tag: "1.2.3", pullSecrets: [{ name: "pull" }] },
  podAnnotations: { "example.org/team": "queues" },
  nodeSelector: { disk: "ssd" },
  tolerations: [{ key: "queues", operator: "Exists" }],
  storage: {
    replicas: 3,
    env: [{ name: "GMQ_STORE_BYTES_MAX", value: "1000000000" }],
    volumes: [{ name: "certificates", secret: { secretName: "gmq-tls" } }],
    volumeMounts: [{ name: "certificates", mountPath: "/certificates", readOnly: true }],
  },
  broker: {
    service: { type: "LoadBalancer", annotations: { "example.org/internal": "true" } },
    autoscaling: { enabled: true },
  },
  admin: { env: [{ name: "GMQ_READ_ONLY", value: "true" }], audit: { persistent: true } },
  networkPolicy: { portalNamespace: "ingress", metricsNamespace: "monitoring" },
  keda: {
    enabled: true,
    consumers: [
      { deployment: "billing", group: "billing", lagRecords: 10_000, minReplicas: 1, maxReplicas: 16 },
      { deployment: "audit", group: "audit", lagRecords: 10_000_000, minReplicas: 0, maxReplicas: 4 },
    ],
  },
};
/** Numbers that Go would print as 3e+07, and a share in place of a number. */
const large = {
  drainTimeoutMs: 30_000_000,
  terminationGracePeriodSeconds: 45_000,
  storage: { replicas: 12 },
  podDisruptionBudget: { maxUnavailable: "50%" },
};
const ownRedis = { redis: { existingSecret: "gmq-redis" }, admin: { enabled: false } };
export const least = {
  podDisruptionBudget: { enabled: false },
  networkPolicy: { enabled: false },
  admin: { enabled: false },
};
export const variants = {
  defaults: {},
  everything,
  "a Redis elsewhere": ownRedis,
  "large numbers": large,
  "the least": least,
};
