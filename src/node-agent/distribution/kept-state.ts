/**
 * The last good state on disk, so that an agent that starts without an operator knows what is wanted. One file, as one
 * message of the protocol: what is read was checked by the same code as what is received.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { causeCode, causeText } from "../../api/errors.ts";
import { NamespacesSchema, type State, StateSchema } from "../../protocol/agent_pb.js";
import { HeldState } from "../../protocol/held-state.ts";
import { sentTables, stateMessages } from "../../protocol/state-message.ts";
import { KEPT_STATE_FILE } from "../enforce/state.ts";
import { writeWholeFile } from "../enforce/whole-file.ts";
import { KeptStateError } from "./errors.ts";

const NOTHING_HELD = { bindings: null, tables: new Set<string>(), rulesets: new Set<string>(), enforcing: null };

export class KeptState {
  readonly #path: string;
  /** Of what is there. */
  #saved: string | null = null;

  constructor(folder: string) {
    this.#path = join(folder, KEPT_STATE_FILE);
  }

  /**
   * What was kept; null if nothing was.
   * @throws KeptStateError if it is damaged
   */
  load(): HeldState | null {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#path);
    } catch (cause) {
      if (causeCode(cause) === "ENOENT") return null;
      throw new KeptStateError(this.#path, causeText(cause), { cause });
    }
    try {
      const state = HeldState.EMPTY.applied([fromBinary(StateSchema, bytes)]);
      this.#saved = nameOf(state);
      return state;
    } catch (cause) {
      throw new KeptStateError(this.#path, causeText(cause), { cause });
    }
  }

  /** Writes it: all of it or nothing, also if the machine stops in between. What is there already is not written again. */
  save(state: HeldState): void {
    if (this.#saved === nameOf(state) && existsSync(this.#path)) return;
    writeWholeFile(this.#path, toBinary(StateSchema, wholeState(state)));
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
