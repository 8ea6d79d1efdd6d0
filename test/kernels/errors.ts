/** Failures of the matrix itself: of what it downloads, builds and boots, not of what is tested. */

/** A step before, around or after a guest failed. */
export class MatrixError extends Error {
  override readonly name = "MatrixError";
}
