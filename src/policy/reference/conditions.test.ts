/** `ancestors`, `notAncestors` and `users` in the reference evaluator: whose rules hold, and what becomes of everybody else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProcessRules, SecurityProfile } from "../../api/types.ts";
import { type Ancestry, NO_ANCESTRY } from "../table/subject.ts";
import { processOf, profileOf } from "../testing/profiles.ts";
import { APP, OWN, PEER, reason, Scene, STRANGER, to } from "../testing/scene.ts";

const TCP = { l4: { protocols: ["tcp" as const] } };
const WEB = { cidr4: [`${PEER}/32`], ...TCP };

function conditional(conditions: Partial<ProcessRules>, more: SecurityProfile["spec"] = {}): SecurityProfile {
  return profileOf("web", {
    actions: ["enforce"],
    processes: [processOf("/bin/app", { egress: WEB }, conditions)],
    ...more,
  });
}

function below(...paths: string[]): Ancestry {
  return { executables: paths.map((path) => ({ path, modified: false })), incomplete: false };
}

function judged(profiles: SecurityProfile[], ancestry: Ancestry | null, user: number | null = 0): string {
  return reason(new Scene(profiles).sends(to(PEER, 80), { ...APP, ancestry, user }));
}

test("one of the ancestors is enough, none of the others may be there, and what is not known meets nothing", () => {
  const profile = conditional({ ancestors: ["/a", "/b"], notAncestors: ["/sh"] });
  assert.equal(judged([profile], below("/x", "/b")), "Allowed");
  assert.equal(judged([profile], NO_ANCESTRY), "Ancestry");
  assert.equal(judged([profile], below("/b", "/sh")), "Ancestry");
  assert.equal(judged([profile], null), "Ancestry");
  assert.equal(judged([profile], { ...below("/b"), incomplete: true }), "Ancestry");
  assert.equal(judged([conditional({ ancestors: ["/b"] })], { ...below("/b"), incomplete: true }), "Allowed");
});

test("a changed file must not be above, and is not what has to be, unless any file will do", () => {
  const changed = (path: string): Ancestry => ({ executables: [{ path, modified: true }], incomplete: false });
  assert.equal(judged([conditional({ notAncestors: ["/sh"] })], changed("/sh")), "Ancestry");
  assert.equal(judged([conditional({ ancestors: ["/a"] })], changed("/a")), "Ancestry");
  assert.equal(judged([conditional({ ancestors: ["/a"], binary: "Any" })], changed("/a")), "Allowed");
});

test("the user has to be listed; who fails both is reported by what led to it", () => {
  assert.equal(judged([conditional({ users: [33] })], NO_ANCESTRY, 33), "Allowed");
  assert.equal(judged([conditional({ users: [33] })], NO_ANCESTRY, 0), "User");
  assert.equal(judged([conditional({ users: [33] })], NO_ANCESTRY, null), "User");
  assert.equal(judged([conditional({ users: [33], ancestors: ["/a"] })], NO_ANCESTRY, 0), "Ancestry");
});

test("several profiles: each one's rules hold where its conditions do", () => {
  const open = profileOf("other", { processes: [processOf("/bin/app", { egress: { cidr4: [`${OWN}/32`], ...TCP } })] });
  const closed = conditional({ ancestors: ["/a"] });
  assert.equal(judged([closed, open], below("/a")), "Allowed");
  assert.equal(judged([closed, open], NO_ANCESTRY), "Peer");
});

test("whoever fails has the rights of default, in both directions, also where the entry says nothing of one", () => {
  const everything = { cidr4: ["0.0.0.0/0"], ...TCP };
  const profile = conditional(
    { users: [33] },
    { default: { egress: { cidr4: [`${STRANGER}/32`], ...TCP }, ingress: everything } },
  );
  const scene = new Scene([profile]);
  const other = { ...APP, user: 0 };
  assert.equal(reason(scene.sends(to(STRANGER, 80), other)), "Allowed");
  assert.equal(reason(scene.sends(to(PEER, 80), other)), "User");
  assert.equal(reason(scene.receives(to(OWN, 80), other)), "Allowed");
  assert.equal(reason(new Scene([profile]).receives(to(OWN, 80), { ...APP, user: 33 })), "Peer");
});
