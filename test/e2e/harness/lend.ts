/** A socket that is lent: its owner makes it, somebody else writes into it, and the owner goes on. */
import type { EgressRules } from "../../../src/api/types.ts";
import type { Receipt } from "../../tools/servers/receipts.ts";
import { Fixture } from "./fixture.ts";
import { egress, profile, toServer } from "./profiles.ts";
import type { WorkloadPlace } from "./topology.ts";

export interface HandOver {
  /** How the owner makes its socket. */
  make: string;
  /** What the other one does with it, between two uses of the owner. `TAG`: what it writes. */
  use: string;
  /** What the owner does then. */
  resume: string;
}

/**
 * Where sockets are lent: `owner` and `heir` may talk to one server, `stranger` is listed nowhere. No profile selects the workload
 * `open`: what leaves from there shows that the attack itself works.
 */
export async function lendingFixture(name: string, l4: NonNullable<EgressRules["l4"]>) {
  const fixture = await Fixture.start(name, {
    apps: ["shop", "open"],
    profiles: (places) => [
      profile(
        "shop",
        ["owner", "heir"].map((program) => egress(places.program(program), toServer(l4))),
      ),
    ],
  });
  return {
    fixture,
    shop: fixture.workload("shop"),
    open: fixture.workload("open"),
    owner: fixture.path("bin", "owner"),
    heir: fixture.path("bin", "heir"),
    stranger: fixture.program("stranger"),
  };
}

/** @param encode what stands for `TAG`, made from the text that the server is to get. @returns what of it has arrived */
export async function lend(
  fixture: Fixture,
  place: WorkloadPlace,
  { owner, borrower }: { owner: string; borrower: string },
  { make, use, resume }: HandOver,
  encode: (text: string) => string = (text) => text,
): Promise<Receipt[]> {
  const [path, tag] = [fixture.path(`${fixture.tag()}socket`), fixture.tag()];
  const giver = fixture.start(place, owner, `${make} pass ${path} ${resume}`);
  await giver.line("offering");
  await fixture.run(place, borrower, `take ${path} ${use.replaceAll("TAG", encode(tag))}`);
  await giver.finish();
  return await fixture.servers.received(tag);
}
