/** Lines that say what is being done, and since when. */

/** Says lines with the seconds since now. */
export function sayAt(): (line: string) => void {
  const started = performance.now();
  return (line) => console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`);
}
