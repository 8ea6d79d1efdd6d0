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
}
