/** The opening picture. */
import { BOLD, DIM, YELLOW } from "../../src/terminal/colours.ts";
import type { Screen } from "./screen.ts";
import { ADDRESS, OUTSIDE, RESOLVER } from "./topology.ts";

/** What the demo is about, before it begins. */
export function showPicture(screen: Screen): void {
  const veth = screen.paint(YELLOW, "▒▒ eBPF ▒▒");
  const pad = (text: string, width: number) => text.padEnd(width);
  const dim = (text: string) => screen.paint(DIM, text);
  for (const line of [
    screen.paint(BOLD, "Portcullis: network security for each process"),
    "",
    dim("     ┌─ node ─────────────────────────────────────────────────────────────────┐"),
    `${dim("     │")}  resolver ${pad(RESOLVER, 24)} somewhere else ${pad(OUTSIDE, 21)}${dim("│")}`,
    dim("     │           └──────────────── bridge ────────────────┘                   │"),
    dim("     └──────┬───────────────────────┬───────────────────────┬─────────────────┘"),
    `       ${veth}              ${veth}              ${veth}`,
    dim("     ┌──────┴───────────┐    ┌──────┴───────────┐    ┌──────┴───────────┐"),
    `${dim("     │")} ${screen.paint(BOLD, pad("ping", 17))}${dim("│    │")} ${screen.paint(BOLD, pad("pong", 17))}${dim("│    │")} ${screen.paint(BOLD, pad("attacker", 17))}${dim("│")}`,
    `${dim("     │")} ${pad(ADDRESS.ping, 17)}${dim("│    │")} ${pad(ADDRESS.pong, 17)}${dim("│    │")} ${pad(ADDRESS.attacker, 17)}${dim("│")}`,
    `${dim("     │")} ${pad("my-app, a client", 17)}${dim("│    │")} ${pad("pong, a server", 17)}${dim("│    │")} ${pad("nobody listed", 17)}${dim("│")}`,
    dim("     └──────────────────┘    └──────────────────┘    └──────────────────┘"),
    "",
  ]) {
    screen.line(line);
  }
}
