/** A socket that is lent: its owner makes it, somebody else writes into it, and the owner goes on. */
import type { Receipt } from "../../tools/servers/receipts.ts";
import type { Fixture } from "./fixture.ts";
import type { WorkloadPlace } from "./topology.ts";

export interface HandOver {
  /** How the owner makes its socket. */
  make: string;
  /** What the other one does with it, between two uses of the owner. `TAG`: what it writes. */
  use: string;
  /** What the owner does then. */
  resume: string;
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
