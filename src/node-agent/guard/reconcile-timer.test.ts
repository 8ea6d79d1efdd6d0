/** The next reconcile comes soon after a failure, before long in any case, and never once the agent is closed. */
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { SILENT } from "../enforce/testing/workloads.ts";
import { ReconcileTimer } from "./reconcile-timer.ts";

function setUp(context: { after(action: () => void): void }) {
  mock.timers.enable({ apis: ["setTimeout"] });
  context.after(() => mock.timers.reset());
  let reconciles = 0;
  const timer = new ReconcileTimer(() => {
    reconciles += 1;
  }, SILENT);
  return { timer, reconciles: () => reconciles };
}

test("what is in line is looked at again after half a minute, what is not after two seconds", (context) => {
  const { timer, reconciles } = setUp(context);
  timer.schedule(true);
  mock.timers.tick(29_999);
  assert.equal(reconciles(), 0);
  mock.timers.tick(1);
  assert.equal(reconciles(), 1);
  timer.schedule(true);
  timer.schedule(false);
  mock.timers.tick(2_000);
  assert.equal(reconciles(), 2);
  mock.timers.tick(60_000);
  assert.equal(reconciles(), 2, "there is one next time");
});

test("work that fails throws nothing, and is tried again", (context) => {
  const { timer, reconciles } = setUp(context);
  timer.attempt("do something", () => {
    throw new Error("on purpose");
  });
  mock.timers.tick(2_000);
  assert.equal(reconciles(), 1);
});

test("after its end nothing is done any more, also where work that was under way fails", (context) => {
  const { timer, reconciles } = setUp(context);
  timer.schedule(false);
  timer.attempt("end", () => {
    timer.close();
    throw new Error("on purpose");
  });
  timer.attempt("go on", () => assert.fail("it is closed"));
  mock.timers.tick(60_000);
  assert.equal(reconciles(), 0);
  assert.equal(timer.closed, true);
});
