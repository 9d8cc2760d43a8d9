/** Real Nest apps over a real broker on a port of its own. */
import { startTestGmq, type TestGmq } from "@gmq/client/testing";
import type { INestApplicationContext, INestMicroservice, LoggerService, Type } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { GmqServer, type GmqServerOptions } from "../../src/index.js";

/** What Nest logged, for tests that ask. */
export interface KeptLog extends LoggerService {
  readonly warnings: string[];
  readonly errors: string[];
}

export function keptLog(): KeptLog {
  const warnings: string[] = [];
  const errors: string[] = [];
  return {
    warnings,
    errors,
    log: nothing,
    warn: (message: unknown) => void warnings.push(String(message)),
    error: (message: unknown) => void errors.push(String(message)),
  };
}

/** Apps and brokers that a test opens; `closeAll` ends them, last opened first. */
export interface Stage {
  readonly gmq: TestGmq;
  /** A microservice that listens. */
  serve(module: Type, options?: Partial<GmqServerOptions>, logger?: LoggerService): Promise<INestMicroservice>;
  /** Ends with the stage. */
  keep<App extends INestApplicationContext>(app: App): App;
  closeAll(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const gmq = await startTestGmq({ partitions: 2 });
  const apps: INestApplicationContext[] = [];
  const stage: Stage = {
    gmq,
    async serve(module, options = {}, logger = keptLog()) {
      const strategy = new GmqServer({ group: "svc", connection: { brokers: [gmq.url] }, ...options });
      const app = stage.keep(await NestFactory.createMicroservice(module, { strategy, logger }));
      await app.listen();
      return app;
    },
    keep(app) {
      apps.push(app);
      return app;
    },
    async closeAll() {
      for (const app of apps.reverse()) await app.close();
      await gmq.close();
    },
  };
  return stage;
}

function nothing(): void {
  // a test reads warnings and errors
}
