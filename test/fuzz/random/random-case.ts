/** A random case from a seed. */
import { Random } from "../../../src/policy/testing/random.ts";
import { EVICTABLE, type FuzzCase, type Step } from "../case.ts";
import { mutate } from "../mutate.ts";
import { OWN_ADDRESSES } from "../world.ts";
import { Traffic } from "./random-packets.ts";
import { randomPolicy } from "./random-profiles.ts";

const STEPS_MAX = 60;
const MUTATED = 0.12;

export function randomCase(seed: number): FuzzCase {
  const random = new Random(seed);
  const policies = Array.from({ length: 1 + random.below(3) }, () => randomPolicy(random));
  const settings = {
    dnsPorts: random.chance(0.2) ? [53, 5353] : [53],
    fqdnMinTtl: 10,
    fqdnMaxTtl: 100,
    fqdnGrace: 5,
    udpIdle: 30,
  };
  const traffic = new Traffic(random);
  const steps: Step[] = [];
  const length = 1 + random.below(STEPS_MAX);
  while (steps.length < length) steps.push(...randomSteps(random, traffic, policies.length));
  return { addresses: [...OWN_ADDRESSES], policies, settings, steps };
}

function randomSteps(random: Random, traffic: Traffic, policies: number): Step[] {
  if (random.chance(0.08)) return [event(random, policies)];
  return traffic.next().map((step) => {
    if (step.kind !== "packet" || !random.chance(MUTATED)) return step;
    return { ...step, frame: mutate(random, Buffer.from(step.frame, "hex")).toString("hex") };
  });
}

function event(random: Random, policies: number): Step {
  switch (random.below(8)) {
    case 0:
    case 1:
      return { kind: "epoch" };
    case 2:
    case 3:
      return { kind: "policy", index: random.below(policies) };
    case 4:
      return random.chance(0.3)
        ? { kind: "policy", index: random.pick(["pending", "unrestricted"] as const) }
        : { kind: "policy", index: random.below(policies) };
    case 5:
      return { kind: "evict", what: random.pick(EVICTABLE) };
    default:
      // Thousandths, so that no sum of them ends on a lifetime.
      return { kind: "advance", seconds: random.pick([1, 8, 14, 29, 31, 62, 104]) + random.below(1000) / 1000 };
  }
}
