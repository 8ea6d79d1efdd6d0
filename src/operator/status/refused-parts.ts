/**
 * The API server refuses a status as a whole, for one value that it does not take. So that nothing hides what else is true, a refused
 * status is taken apart: what a profile's state is comes first, and each of the other parts goes in if it is taken.
 */
import { ApiError } from "../../kube/errors.ts";
import type { ProfileStatus } from "../profiles/profile-status.ts";

/** Parts that come from what nodes report, and without which a status is still one. */
const PARTS = ["lastViolation", "failingNodes", "processes", "dropped", "alerted"] as const;
type Part = (typeof PARTS)[number];

/** HTTP's 422: the object is understood, and not valid. */
const UNPROCESSABLE = 422;

export interface Written {
  /** What the API server has now. */
  status: ProfileStatus;
  /** Parts that it refused, with its words. */
  refused: { part: Part; reason: string }[];
}

/**
 * Writes as much of a status as the API server takes.
 * @param write throws ApiError where it is refused
 * @throws what `write` throws, where it is no refusal of a value, or where not even the rest is taken
 */
export async function writeWhatIsTaken(
  status: ProfileStatus,
  write: (status: ProfileStatus) => Promise<void>,
): Promise<Written> {
  const whole = await refusalOf(() => write(status));
  if (whole === null) return { status, refused: [] };
  let taken = without(status, PARTS);
  await write(taken);
  const refused: Written["refused"] = [];
  for (const part of PARTS) {
    if (status[part] === undefined) continue;
    const more = { ...taken, [part]: status[part] };
    const refusal = await refusalOf(() => write(more));
    if (refusal === null) taken = more;
    else refused.push({ part, reason: refusal.message });
  }
  return { status: taken, refused };
}

async function refusalOf(write: () => Promise<void>): Promise<ApiError | null> {
  try {
    await write();
    return null;
  } catch (cause) {
    if (cause instanceof ApiError && cause.status === UNPROCESSABLE) return cause;
    throw cause;
  }
}

function without(status: ProfileStatus, parts: readonly Part[]): ProfileStatus {
  const rest = Object.entries(status).filter(([name]) => !parts.includes(name as Part));
  return Object.fromEntries(rest) as unknown as ProfileStatus;
}
