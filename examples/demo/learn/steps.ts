/** The steps of rolling a profile out: each goes on with what the one before it has left on the stage. */
import { parse } from "yaml";
import type { SecurityProfile } from "../../../src/api/types.ts";
import { learningProfile } from "../../../src/learn/learning-profile.ts";
import { inForce } from "../steps-life.ts";
import { answered } from "../steps-questions.ts";
import type { Story } from "../story.ts";
import { ADDRESS, netnsOf, OUTSIDE_NAME, PONG_NAME } from "../topology.ts";

const MY_APP = "/usr/local/bin/my-app";
const NC = "/usr/bin/nc";
const PONG_SAYS = "pong\n";
const OUTSIDE_SAYS = "outside\n";
const WORKLOAD = netnsOf("ping");
/** What an intruder does, before a profile is in force and after. */
const INTRUSION = `nc -zw1 ${ADDRESS.pong} 80`;

/** Where the profile is that the last step has put in force. */
let profilePath = "";

export async function watch(story: Story): Promise<void> {
  const { screen, stage } = story;
  await story.begin("Watch: nothing is judged, everything is recorded", ["ping"]);
  screen.explain("The profile of ping has no process, and actions: [learn, trace-dns].");
  const watching = learningProfile({ name: "ping", namespace: "default", labels: { app: "ping" } });
  profilePath = stage.onlyProfile("ping", JSON.stringify(watching));
  const agent = stage.startAgent();
  agent.subscribe((event) => story.hear(event));
  await agent.ready();
  const { stdout } = await story.program("ping", `my-app -sS http://${PONG_NAME}/`);
  await story.verdict({ pod: "ping", verdict: "allowed", path: MY_APP, proto: "tcp" });
  story.holds(stdout === PONG_SAYS, "the page of pong", stdout);
  await story.shell("ping", INTRUSION);
  await story.verdict({ pod: "ping", verdict: "allowed", path: NC, proto: "tcp" });
  story.conclude("my-app has done its work. Somebody in a shell has done something else, while we watched.");
}

export async function learn(story: Story): Promise<void> {
  await story.begin("Learn: what the pod did, as a profile");
  const text = await answered(story, ["learn", WORKLOAD], [["path:", MY_APP], ["- ", PONG_NAME], ["Left out"], [NC]]);
  const learned = parse(text) as SecurityProfile;
  const paths = learned.spec.processes?.map(({ path }) => path);
  story.holds(JSON.stringify(paths) === JSON.stringify([MY_APP]), "my-app alone is in the profile", paths);
  story.stage.keep("learned.yaml", text);
  story.conclude("One entry, with a name and the exact ports. nc is listed at the top, and not in the profile.");
}

export async function replay(story: Story): Promise<void> {
  await story.begin("Replay: what the profile would have refused of what was recorded");
  const file = story.stage.kept("learned.yaml");
  await answered(story, ["replay", WORKLOAD, "--profiles", file], [["would be refused"], [NC, "BinaryUnknown"]], 1);
  story.conclude("Everything of my-app would be allowed, and the intruder's nc refused: before anything is enforced.");
}

export async function alert(story: Story): Promise<void> {
  const { screen, stage } = story;
  await story.begin("Alert: the profile is in force, and drops nothing", ["ping"]);
  screen.explain("The learned profile, with actions: [alert]. A new version of my-app needs another site.");
  const learned = parse(stage.read("learned.yaml")) as SecurityProfile;
  await inForce(story, () => stage.onlyProfile("ping", withActions(learned, ["alert"])));
  const { stdout } = await story.program("ping", `my-app -sS http://${OUTSIDE_NAME}/`);
  await story.verdict({ pod: "ping", verdict: "alerted", reason: "DnsName", path: MY_APP, name: OUTSIDE_NAME });
  story.holds(stdout === OUTSIDE_SAYS, "the page of the other site", stdout);
  await story.shell("ping", INTRUSION);
  await story.verdict({ pod: "ping", verdict: "alerted", reason: "BinaryUnknown", path: NC });
  story.conclude("Both pass, and both are reported.");
}

export async function drift(story: Story): Promise<void> {
  const { screen, stage } = story;
  await story.begin("Drift: what deviates, once each; and what you want of it, accepted");
  await answered(
    story,
    ["drift", WORKLOAD],
    [
      ["my-app", "asks for", "DnsName"],
      [NC, "BinaryUnknown"],
    ],
    1,
  );
  const { stdout } = await stage.ask(screen.innerWidth, "drift", WORKLOAD, "-o", "json");
  const [{ deviations }] = JSON.parse(stdout) as [{ deviations: { id: string; question: { name: string } | null }[] }];
  const wanted = deviations.find(({ question }) => question?.name === OUTSIDE_NAME);
  const accept = ["accept", WORKLOAD, "--id", wanted?.id ?? "", "--profiles", profilePath];
  await answered(story, [...accept, "-o", "patch"], [["+", OUTSIDE_NAME]]);
  const accepted = await stage.ask(screen.innerWidth, ...(accept as [string, ...string[]]));
  story.holds(accepted.status === 0, "`portcullis accept` ends with 0", accepted.stderr);
  stage.keep("accepted.yaml", accepted.stdout);
  story.conclude("The other site is in the profile now, by its name. nc is not: nobody has accepted it.");
}

export async function enforce(story: Story): Promise<void> {
  const { stage } = story;
  await story.begin("Enforce", ["ping"]);
  const accepted = parse(stage.read("accepted.yaml")) as SecurityProfile;
  await inForce(story, () => stage.onlyProfile("ping", withActions(accepted, ["alert", "enforce"])));
  const pages = [];
  for (const name of [PONG_NAME, OUTSIDE_NAME])
    pages.push((await story.program("ping", `my-app -sS http://${name}/`)).stdout);
  story.holds(pages.join("") === `${PONG_SAYS}${OUTSIDE_SAYS}`, "both pages", pages);
  const { status } = await story.shell("ping", INTRUSION);
  await story.verdict({ pod: "ping", verdict: "dropped", reason: "BinaryUnknown", path: NC });
  story.holds(status !== 0, "nc does not get through", status);
  story.conclude("my-app goes on as before. The intruder is stopped by what was learned while he was there.");
}

/** As YAML, which JSON is. */
function withActions(profile: SecurityProfile, actions: SecurityProfile["spec"]["actions"]): string {
  return JSON.stringify({ ...profile, spec: { ...profile.spec, actions } });
}
