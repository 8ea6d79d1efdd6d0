/** A process as far as policy tells processes apart. */
export interface Subject {
  /** Resolved path of the executable; null if it is not known. */
  path: string | null;
  /** Path of a script that was executed directly and verified, else null. */
  script: string | null;
  /** Name of its container, null where there is none. */
  container: string | null;
  /** That container was added to the pod later, for debugging, or is not known (yet). */
  ephemeral: boolean;
  /** The file was changed after the container started, is deleted, or a memfd. */
  modified: boolean;
  /** What led to it; null if that is not known. */
  ancestry: Ancestry | null;
  /** Effective user id when it used the socket; null if it is not known. */
  user: number | null;
}

/** The executables and scripts that led to a process, by exec and fork, as far up as its container's first process. */
export interface Ancestry {
  executables: readonly Ancestor[];
  /** There were more, or some whose path is not known. */
  incomplete: boolean;
}

/** Of a container's first process. */
export const NO_ANCESTRY: Ancestry = Object.freeze({ executables: [], incomplete: false });

export interface Ancestor {
  path: string;
  /** As of a subject. */
  modified: boolean;
}
