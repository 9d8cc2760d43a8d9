import { type ConnectOptions, connect, type Gmq } from "@gmq/client";
import {
  type DynamicModule,
  Inject,
  type InjectionToken,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type OptionalFactoryDependency,
  type Provider,
} from "@nestjs/common";
import { GmqClient, type GmqClientOptions } from "./gmq-client.js";

/** How a module's connection is made, and its `GmqClient`. */
export interface GmqModuleOptions extends Omit<GmqClientOptions, "connection"> {
  readonly connection?: ConnectOptions;
}

/** Beside what makes the connection. */
export interface GmqModuleScope {
  /** Tells several connections apart: `@InjectGmq(name)`. Default: none. */
  readonly name?: string;
  /** True: every module may inject the connection. Default false. */
  readonly isGlobal?: boolean;
}

/** Options that are made by a factory, with what it wants injected. */
export interface GmqModuleAsyncOptions extends GmqModuleScope, Pick<ModuleMetadata, "imports"> {
  // biome-ignore lint/suspicious/noExplicitAny: what is injected is the factory's own affair, as in every Nest module.
  readonly useFactory: (...injected: any[]) => GmqModuleOptions | Promise<GmqModuleOptions>;
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
}

/** The token of a connection (a `Gmq`), as `@InjectGmq(name)` uses it. */
export function gmqToken(name = ""): string {
  return `gmq:connection:${name}`;
}

/** The token of a connection's `GmqClient`; without a name the class itself is one too. */
export function gmqClientToken(name = ""): string {
  return `gmq:client:${name}`;
}

/** Injects the connection: producers, subscriptions, admin. */
export function InjectGmq(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(gmqToken(name));
}

/** Injects the `GmqClient` of a connection. */
export function InjectGmqClient(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(gmqClientToken(name));
}

/**
 * One connection for an app: connected before the app starts, closed when it has shut down, after servers have drained. Gives `@InjectGmq()` the connection and `GmqClient`
 * a client over it. `app.close()` closes it; for SIGTERM call `app.enableShutdownHooks()`.
 */
// biome-ignore lint/complexity/noStaticOnlyClass: a dynamic module of Nest is a class with these.
export class GmqModule {
  /** @throws GmqError while the app starts: `unavailable`, `unauthenticated`, `invalid_argument` */
  static register(options: GmqModuleOptions & GmqModuleScope = {}): DynamicModule {
    const { name, isGlobal, ...made } = options;
    return GmqModule.registerAsync({
      useFactory: () => made,
      ...(name === undefined ? {} : { name }),
      ...(isGlobal === undefined ? {} : { isGlobal }),
    });
  }

  /** The same with options that a factory makes, from a `ConfigService` for example. */
  static registerAsync({
    name,
    isGlobal = false,
    imports = [],
    inject = [],
    useFactory,
  }: GmqModuleAsyncOptions): DynamicModule {
    const options = `gmq:options:${name ?? ""}`;
    const connection = gmqToken(name);
    const client = gmqClientToken(name);
    const providers: Provider[] = [
      { provide: options, useFactory, inject },
      { provide: connection, useFactory: (made: GmqModuleOptions) => connect(made.connection), inject: [options] },
      {
        provide: client,
        useFactory: (made: GmqModuleOptions, gmq: Gmq) => new GmqClient({ ...made, connection: gmq }),
        inject: [options, connection],
      },
      { provide: `gmq:closer:${name ?? ""}`, useFactory: closer, inject: [connection, client] },
      ...(name === undefined ? [{ provide: GmqClient, useExisting: client }] : []),
    ];
    const exported = name === undefined ? [connection, client, GmqClient] : [connection, client];
    return { module: GmqModule, global: isGlobal, imports, providers, exports: exported };
  }
}
Module({})(GmqModule);

/** Nest calls it when the app has shut down. */
function closer(gmq: Gmq, client: GmqClient): OnApplicationShutdown {
  return {
    async onApplicationShutdown() {
      await client.close();
      await gmq.close();
    },
  };
}
