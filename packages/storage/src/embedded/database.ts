import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { GmqError } from "@gmq/protocol";
import { type DiskRoom, diskRoom } from "./disk-room.js";
import { formatVersion, laterColumns, laterValues, pageBytes, schema, storeFile } from "./schema.js";

/** The one connection to an embedded store's file. */
export interface Database {
  /** Prepares once per text and keeps it. Integers come back as bigint. */
  statement(sql: string): StatementSync;
  /**
   * Runs `work` in one transaction; it is durable when this returns, undone when `work` throws.
   * @throws GmqError what `work` throws, `store_full`, `store_read_only`, `store_unavailable`, `closed`
   */
  transaction<Result>(work: () => Result): Result;
  /** What SQLite threw outside of a transaction, as one of ours: a failed statement changed nothing. */
  errorOf(cause: unknown): GmqError;
  /** What is wrong with the file since a statement found it damaged; it stays so until a good one is put in its place. */
  readonly damage: string | undefined;
  /** Bytes of the file, 0 in memory. */
  sizeBytes(): number;
  /** Bytes in use: pages that deleted rows left are filled again before the file grows. */
  liveBytes(): number;
  /** Bytes in use at which producers are refused so that consumers go on; undefined in memory, and where the disk does not tell. */
  liveBytesMax(): number | undefined;
  close(): void;
}

/** Where an embedded store lives: a folder, or this process' memory. */
export type DatabaseLocation = { readonly path: string } | { readonly memory: true };

/**
 * Opens or makes the store. A folder is held by an operating-system lock of this process, which ends with it, however it ends.
 * @throws GmqError `store_unavailable` when another process (or engine) holds the folder or it cannot be opened, `unsupported_version` when a newer GMQ wrote it
 */
export function openDatabase(location: DatabaseLocation): Database {
  const opened = "path" in location ? openFile(location.path) : undefined;
  const connection = opened?.connection ?? openTables(new DatabaseSync(":memory:"), "memory");
  const statements = new Map<string, StatementSync>();
  let damage: string | undefined;

  function assertOpen(): void {
    if (!connection.isOpen) throw new GmqError("closed", "the engine is closed");
  }

  function errorOf(cause: unknown): GmqError {
    const error = fromDatabaseError(cause);
    if (isDamage(cause)) damage = error.message;
    return error;
  }

  return {
    errorOf,
    get damage() {
      return damage;
    },
    statement(sql) {
      assertOpen();
      let statement = statements.get(sql);
      if (statement === undefined) {
        statement = connection.prepare(sql);
        statement.setReadBigInts(true);
        statements.set(sql, statement);
      }
      return statement;
    },
    transaction(work) {
      assertOpen();
      try {
        connection.exec("begin immediate");
        const result = work();
        connection.exec("commit");
        return result;
      } catch (error) {
        if (connection.isTransaction) connection.exec("rollback");
        throw errorOf(error);
      }
    },
    sizeBytes() {
      const pages = connection
        .prepare("select page_count * page_size as bytes from pragma_page_count(), pragma_page_size()")
        .get();
      return "path" in location ? Number(pages?.["bytes"] ?? 0) : 0;
    },
    liveBytes() {
      const pages = connection
        .prepare(
          "select (page_count - freelist_count) * page_size as bytes from pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
        )
        .get();
      return Number(pages?.["bytes"] ?? 0);
    },
    liveBytesMax: () => opened?.room.bytesMax(),
    close() {
      statements.clear();
      connection.close();
      if ("path" in location) rmSync(join(location.path, holderFile), { force: true });
    },
  };
}

const holderFile = "holder.pid";

/** SQLite's result codes for a file that somebody else has locked, may not be written, finds no room, is damaged, or is none of SQLite's. Source: sqlite.org, result codes. */
const busyCode = 5;
const readOnlyCode = 8;
const fullCode = 13;
const corruptCode = 11;
const notDatabaseCode = 26;

function isDamage(cause: unknown): boolean {
  const code = resultCode(cause);
  return code === corruptCode || code === notDatabaseCode;
}

/** Extended result codes carry the plain one in their lowest byte. Undefined: not SQLite's. */
function resultCode(cause: unknown): number | undefined {
  return cause instanceof Error && "errcode" in cause ? Number(cause.errcode) & 0xff : undefined;
}

function openFile(path: string): { readonly connection: DatabaseSync; readonly room: DiskRoom } {
  let connection: DatabaseSync | undefined;
  try {
    mkdirSync(path, { recursive: true });
    connection = new DatabaseSync(join(path, storeFile));
    connection.exec(`pragma page_size = ${pageBytes}; pragma locking_mode = exclusive; pragma journal_mode = wal;`);
    // In exclusive mode the lock is taken by the first write and kept until the connection, or the process, ends.
    connection.exec("begin immediate; commit;");
    const room = diskRoom(path);
    connection.exec(
      `pragma synchronous = full; pragma wal_autocheckpoint = ${room.checkpointPages}; pragma journal_size_limit = 67108864; pragma cache_size = -65536;`,
    );
    openTables(connection, path);
    noteHolder(path);
    return { connection, room };
  } catch (cause) {
    connection?.close();
    if (GmqError.is(cause)) throw cause;
    const problem =
      resultCode(cause) === busyCode
        ? `is in use${describeHolder(path)}`
        : `cannot be opened: ${isDamage(cause) ? damaged : ""}${cause instanceof Error ? cause.message : String(cause)}`;
    throw new GmqError("store_unavailable", `the data folder ${path} ${problem}`, { field: "path", cause });
  }
}

function openTables(connection: DatabaseSync, path: string): DatabaseSync {
  connection.exec(schema);
  checkFormat(connection, path);
  addLaterColumns(connection);
  return connection;
}

/** For the error of whoever comes second. A disk without room for it has to serve its consumers all the same. */
function noteHolder(path: string): void {
  const file = join(path, holderFile);
  try {
    writeFileSync(file, String(process.pid));
  } catch {
    rmSync(file, { force: true });
  }
}

function addLaterColumns(connection: DatabaseSync): void {
  for (const { table, column, definition } of laterColumns) {
    const known = connection.prepare("select name from pragma_table_info(?) where name = ?").get(table, column);
    if (known === undefined) connection.exec(`alter table ${table} add column ${column} ${definition}`);
  }
  connection.prepare(laterValues).run(Date.now());
}

function describeHolder(path: string): string {
  const file = join(path, holderFile);
  return existsSync(file) ? ` by the process with pid ${readFileSync(file, "utf8")}` : "";
}

function checkFormat(connection: DatabaseSync, path: string): void {
  const row = connection.prepare("select version from format").get();
  if (row === undefined) {
    connection.prepare("insert into format (version) values (?)").run(formatVersion);
    return;
  }
  const version = Number(row["version"]);
  if (version <= formatVersion) return;
  throw new GmqError(
    "unsupported_version",
    `the store in ${path} has format ${version}; this GMQ reads up to ${formatVersion}: use a newer GMQ`,
    {
      field: "path",
      limit: `format ${formatVersion}`,
    },
  );
}

const damaged = "the store's file is damaged, stop and restore a backup: ";

/** A failed transaction changed nothing: it was undone. What is not SQLite's is a defect. */
function fromDatabaseError(cause: unknown): GmqError {
  const code = resultCode(cause);
  if (code === undefined) return GmqError.from(cause);
  const { message } = cause as Error;
  if (isDamage(cause)) return new GmqError("store_unavailable", `${damaged}${message}`, { cause });
  if (code === fullCode) return new GmqError("store_full", `the disk is full: ${message}`, { cause });
  if (code === readOnlyCode) return new GmqError("store_read_only", message, { cause });
  return new GmqError("store_unavailable", `the store refused the change: ${message}`, { cause });
}
