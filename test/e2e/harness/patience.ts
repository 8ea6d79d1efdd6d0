/** How long to wait. */

/** How many times longer than usual to wait for what should come: more than 1 on machines that are emulated. */
const PATIENCE = Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1);

/** A limit for waiting, in ms, as it is on this machine. */
export function patiently(timeout: number): number {
  return timeout * PATIENCE;
}
