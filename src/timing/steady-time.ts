/**
 * Milliseconds since 1970, as the machine's clock had them when this thread began, and counted from there: they do not jump where somebody sets
 * the clock. For how long something takes and since when it is so; not for what other machines or files say.
 */
export function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}
