/** Where profiles come from: a folder of YAML here, an operator elsewhere. Whole revisions only, never a part of one. */
import type { SecurityProfile } from "../../api/types.ts";
import type { RevisionError } from "../../flow/record.ts";

/** All profiles as of one moment. */
export interface ProfileRevision {
  /** Hash over what was read, hex. */
  revision: string;
  /** Valid and normalised; empty if there are errors: a revision counts as a whole. */
  profiles: SecurityProfile[];
  errors: RevisionError[];
  warnings: RevisionError[];
}

export interface ProfileSource {
  /** The last revision that was read, valid or not. */
  current(): ProfileRevision;
  /** Calls the listener at each change from now on; returns what ends that. */
  subscribe(listener: (revision: ProfileRevision) => void): () => void;
  close(): void;
}
