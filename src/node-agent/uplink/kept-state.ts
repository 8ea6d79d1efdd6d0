/**
 * The last good state on disk, so that an agent that starts without an operator knows what is wanted. One file, as one
 * message of the protocol: what is read was checked by the same code as what is received. Where a later one could not be written, it has
 * another name: it is good for pods of which nothing is in force, and for no others.
 */
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { causeCode, causeText } from "../../api/errors.ts";
import { NamespacesSchema, type State, StateSchema } from "../../gen/agent_pb.js";
import { HeldState } from "../../protocol/held-state.ts";
import { sentTables, stateMessages } from "../../protocol/state-message.ts";
import { KEPT_STATE_FILE, OUTDATED_STATE_FILE } from "../enforce/state/state.ts";
import { writeWholeFile } from "../enforce/state/whole-file.ts";
import { KeptStateError } from "./errors.ts";

const NOTHING_HELD = { bindings: null, tables: new Set<string>(), rulesets: new Set<string>(), enforcing: null };

export class KeptState {
  readonly #path: string;
  readonly #outdated: string;
  /** Of what is there. */
  #saved: string | null = null;

  constructor(folder: string) {
    this.#path = join(folder, KEPT_STATE_FILE);
    this.#outdated = join(folder, OUTDATED_STATE_FILE);
  }

  /** What is kept is older than what was in force last. */
  get isOutdated(): boolean {
    return !existsSync(this.#path) && existsSync(this.#outdated);
  }

  /**
   * What was kept; null if nothing was.
   * @throws KeptStateError if it is damaged
   */
  load(): HeldState | null {
    const path = this.isOutdated ? this.#outdated : this.#path;
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (cause) {
      if (causeCode(cause) === "ENOENT") return null;
      throw new KeptStateError(path, causeText(cause), { cause });
    }
    try {
      const state = HeldState.EMPTY.applied([fromBinary(StateSchema, bytes)]);
      this.#saved = nameOf(state);
      return state;
    } catch (cause) {
      throw new KeptStateError(path, causeText(cause), { cause });
    }
  }

  /**
   * Writes it: all of it or nothing, also if the machine stops in between. What is there already is not written again.
   * @throws Error of the file system; what was kept before is outdated then
   */
  save(state: HeldState): void {
    if (this.#saved === nameOf(state) && existsSync(this.#path)) return;
    try {
      writeWholeFile(this.#path, toBinary(StateSchema, wholeState(state)));
    } catch (cause) {
      // Takes no room.
      if (existsSync(this.#path)) renameSync(this.#path, this.#outdated);
      throw cause;
    }
    rmSync(this.#outdated, { force: true });
    this.#saved = nameOf(state);
  }
}

function nameOf({ hash, enforcing }: HeldState): string {
  return JSON.stringify([hash, enforcing]);
}

function wholeState(state: HeldState): State {
  const parts = stateMessages(
    NOTHING_HELD,
    { bindings: state.bindings, tables: sentTables(state.tables.values()), enforcing: null },
    0n,
  );
  return create(StateSchema, {
    revision: 0n,
    full: true,
    rulesets: parts.flatMap(({ rulesets }) => rulesets),
    tables: parts.flatMap(({ tables }) => tables),
    bindings: parts.flatMap(({ bindings }) => bindings),
    stateHash: state.hash,
    ...(state.enforcing === null ? {} : { enforcing: create(NamespacesSchema, { names: [...state.enforcing] }) }),
  });
}
