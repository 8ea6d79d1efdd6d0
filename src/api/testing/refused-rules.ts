/** Test data: refused profiles whose fault is in the rules of one direction. */
import { profileWithEgress, profileWithIngress, type RefusedProfile, refused, refusedLater } from "./refused-case.ts";

const EGRESS = "spec.processes[0].network.egress";
const INGRESS = "spec.processes[0].network.ingress";

const cidr4 = (text: unknown) => profileWithEgress({ cidr4: ["10.0.0.0/8", text] });
const cidr6 = (text: unknown) => profileWithEgress({ cidr6: [text] });

const PEERS: RefusedProfile[] = [
  refused(
    "a pod peer that selects by nothing",
    profileWithEgress({ pods: [{}] }),
    `${EGRESS}.pods[0]`,
    "PC_PEER_EMPTY",
    /empty podSelector/,
  ),
  refused(
    "values of a pod peer's selector",
    profileWithIngress({ pods: [{ podSelector: { matchExpressions: [{ key: "a", operator: "In" }] } }] }),
    `${INGRESS}.pods[0].podSelector.matchExpressions[0].values`,
    "PC_SELECTOR_VALUES",
    /add values/,
  ),
  refusedLater(
    "a bad key in a pod peer's selector",
    profileWithEgress({ pods: [{ namespaceSelector: { matchLabels: { "-": "x" } } }] }),
    `${EGRESS}.pods[0].namespaceSelector.matchLabels["-"]`,
    "PC_LABEL_INVALID",
    /letters, digits/,
  ),
  refused(
    "a service without a name",
    profileWithEgress({ services: [{ namespace: "web" }] }),
    `${EGRESS}.services[0].name`,
    "PC_FIELD_MISSING",
    /add it/,
  ),
  refused(
    "a service by a name that is none",
    profileWithEgress({ services: [{ name: "web.svc" }] }),
    `${EGRESS}.services[0].name`,
    "PC_NAME_INVALID",
    /63 lower-case/,
  ),
  refused(
    "services on ingress",
    profileWithIngress({ services: [{ name: "web" }] }),
    `${INGRESS}.services`,
    "PC_INGRESS_NAMES",
    /pods, cidr4 or cidr6/,
  ),
  refused(
    "peers on ingress",
    profileWithIngress({ peers: ["resolver"] }),
    `${INGRESS}.peers`,
    "PC_INGRESS_NAMES",
    /pods, cidr4 or cidr6/,
  ),
  refused(
    "a peer by a name that is none",
    profileWithEgress({ peers: ["resolvers"] }),
    `${EGRESS}.peers[0]`,
    "PC_VALUE_UNKNOWN",
    /resolver/,
  ),
  refused(
    "the resolver without an IP family",
    profileWithEgress({ peers: ["resolver"], l3: { protocols: ["arp"] } }),
    `${EGRESS}.peers`,
    "PC_FAMILY_CONFLICT",
    /ipv4 or ipv6/,
  ),
  refused(
    "pods without an IP family",
    profileWithEgress({ pods: [{ podSelector: {} }], l3: { protocols: ["arp"] } }),
    `${EGRESS}.pods`,
    "PC_FAMILY_CONFLICT",
    /ipv4 or ipv6/,
  ),
];

const PREFIXES: RefusedProfile[] = [
  refused("an address without length", cidr4("10.0.0.1"), `${EGRESS}.cidr4[1]`, "PC_CIDR_INVALID", /10\.0\.0\.1\/32/),
  refused("a length over 32", cidr4("10.0.0.0/33"), `${EGRESS}.cidr4[1]`, "PC_CIDR_INVALID", /0 to 32/),
  refused(
    "a length with a leading zero",
    cidr4("10.0.0.0/08"),
    `${EGRESS}.cidr4[1]`,
    "PC_CIDR_INVALID",
    /leading zeros/,
  ),
  refused(
    "an octet with a leading zero",
    cidr4("10.0.0.010/32"),
    `${EGRESS}.cidr4[1]`,
    "PC_CIDR_INVALID",
    /IPv4 prefix/,
  ),
  refused("an octet over 255", cidr4("10.0.0.256/32"), `${EGRESS}.cidr4[1]`, "PC_CIDR_INVALID", /IPv4 prefix/),
  refused("three octets", cidr4("10.0.0/24"), `${EGRESS}.cidr4[1]`, "PC_CIDR_INVALID", /IPv4 prefix/),
  refused("IPv6 in cidr4", cidr4("2001:db8::/32"), `${EGRESS}.cidr4[1]`, "PC_CIDR_INVALID", /under cidr6/),
  refused("a name in cidr4", cidr4("example.com"), `${EGRESS}.cidr4[1]`, "PC_CIDR_INVALID", /IPv4 prefix/),
  refused("a number in cidr4", cidr4(10), `${EGRESS}.cidr4[1]`, "PC_FIELD_TYPE", /quotes/),
  refused("IPv4 in cidr6", cidr6("10.0.0.0/8"), `${EGRESS}.cidr6[0]`, "PC_CIDR_INVALID", /under cidr4/),
  refused("a length over 128", cidr6("2001:db8::/129"), `${EGRESS}.cidr6[0]`, "PC_CIDR_INVALID", /0 to 128/),
  refused("a zone", cidr6("fe80::1%eth0/128"), `${EGRESS}.cidr6[0]`, "PC_CIDR_INVALID", /IPv6 prefix/),
  refusedLater(
    "IPv4 in IPv6",
    cidr6("::ffff:10.0.0.0/104"),
    `${EGRESS}.cidr6[0]`,
    "PC_CIDR_INVALID",
    /"10\.0\.0\.0\/8" under cidr4/,
  ),
];

const fqdn = (name: unknown) => profileWithEgress({ fqdns: [name] });

const NAMES: RefusedProfile[] = [
  refused("an empty name", fqdn(""), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /www\.example\.com/),
  refused("the root as a name", fqdn("."), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /www\.example\.com/),
  refused("a star within a label", fqdn("a*.example.com"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /\*\.example\.com/),
  refused("a star in the middle", fqdn("a.*.com"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /\*\.example\.com/),
  refused("two stars", fqdn("*.*"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /\*\.example\.com/),
  refused("an empty label", fqdn("a..com"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /one dot/),
  refused("a dot in front", fqdn(".example.com"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /one dot/),
  refused("64 bytes in a label", fqdn(`${"a".repeat(64)}.com`), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /shorten/),
  refusedLater("254 bytes", fqdn(`${"a.".repeat(126)}aa`), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /shorten/),
  refused("other letters", fqdn("bücher.example"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /xn--/),
  refused("a URL", fqdn("https://example.com"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /host's name/),
  refused("a name with a port", fqdn("example.com:443"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /protocolPorts/),
  refusedLater("an address as a name", fqdn("10.0.0.1"), `${EGRESS}.fqdns[0]`, "PC_NAME_INVALID", /cidr4/),
  refused(
    "a bad name in l7.dns",
    profileWithEgress({ l7: { dns: ["a b"] } }),
    `${EGRESS}.l7.dns[0]`,
    "PC_NAME_INVALID",
    /xn--/,
  ),
  refused("a bad name in dns", profileWithEgress({ dns: ["a b"] }), `${EGRESS}.dns[0]`, "PC_NAME_INVALID", /xn--/),
  refused(
    "dns twice",
    profileWithEgress({ dns: ["a.b"], l7: { dns: ["a.b"] } }),
    `${EGRESS}.dns`,
    "PC_DNS_TWICE",
    /l7\.dns only/,
  ),
  refused("fqdns on ingress", profileWithIngress({ fqdns: ["a.b"] }), `${INGRESS}.fqdns`, "PC_INGRESS_NAMES", /cidr4/),
  refused(
    "dns on ingress",
    profileWithIngress({ dns: ["a.b"] }),
    `${INGRESS}.dns`,
    "PC_INGRESS_NAMES",
    /egress\.l7\.dns/,
  ),
  refused(
    "l7.dns on ingress",
    profileWithIngress({ l7: { dns: ["a.b"] } }),
    `${INGRESS}.l7.dns`,
    "PC_INGRESS_NAMES",
    /egress\.l7\.dns/,
  ),
];

const port = (entry: unknown) => profileWithEgress({ l4: { protocolPorts: [entry] } });
const PORT = `${EGRESS}.l4.protocolPorts[0]`;
const protocol = (value: unknown) => profileWithEgress({ l4: { protocols: [value] } });
const PROTOCOL = `${EGRESS}.l4.protocols[0]`;

const TRANSPORT: RefusedProfile[] = [
  refused("port 0", port({ protocol: "tcp", port: 0 }), `${PORT}.port`, "PC_VALUE_RANGE", /within bounds/),
  refused("port 65536", port({ protocol: "tcp", port: 65536 }), `${PORT}.port`, "PC_VALUE_RANGE", /within bounds/),
  refused("a port in quotes", port({ protocol: "tcp", port: "80" }), `${PORT}.port`, "PC_FIELD_TYPE", /without quotes/),
  refused(
    "a fraction of a port",
    port({ protocol: "tcp", port: 80.5 }),
    `${PORT}.port`,
    "PC_FIELD_TYPE",
    /whole number/,
  ),
  refused(
    "a range backwards",
    port({ protocol: "tcp", port: 90, endPort: 80 }),
    `${PORT}.endPort`,
    "PC_PORT_RANGE",
    /last port/,
  ),
  refused(
    "a port of ICMP",
    port({ protocol: "icmp", port: 8 }),
    `${PORT}.protocol`,
    "PC_VALUE_UNKNOWN",
    /l4\.protocols/,
  ),
  refused(
    "TCP in capitals",
    port({ protocol: "TCP", port: 80 }),
    `${PORT}.protocol`,
    "PC_VALUE_UNKNOWN",
    /write "tcp"/,
  ),
  refused("no port", port({ protocol: "tcp" }), `${PORT}.port`, "PC_FIELD_MISSING", /add it/),
  refused("protocol 256", protocol(256), PROTOCOL, "PC_VALUE_UNKNOWN", /0 to 255/),
  refused("a number in quotes", protocol("6"), PROTOCOL, "PC_VALUE_UNKNOWN", /without quotes/),
  refused("a protocol without a name here", protocol("gre"), PROTOCOL, "PC_VALUE_UNKNOWN", /its number, 47/),
  refused("a misspelt protocol", protocol("icmp6"), PROTOCOL, "PC_VALUE_UNKNOWN", /"icmp(v6)?"/),
  refused(
    "a protocol twice",
    profileWithEgress({ l4: { protocols: ["tcp", "tcp"] } }),
    `${EGRESS}.l4.protocols`,
    "PC_ENTRY_DUPLICATE",
    /take one away/,
  ),
  refused(
    "cidr4 without ipv4",
    profileWithEgress({ cidr4: ["10.0.0.0/8"], l3: { protocols: ["ipv6"] } }),
    `${EGRESS}.cidr4`,
    "PC_FAMILY_CONFLICT",
    /add ipv4/,
  ),
  refused(
    "cidr6 without ipv6",
    profileWithIngress({ cidr6: ["::/0"], l3: { protocols: ["ipv4"] } }),
    `${INGRESS}.cidr6`,
    "PC_FAMILY_CONFLICT",
    /add ipv6/,
  ),
  refused(
    "fqdns with arp only",
    profileWithEgress({ fqdns: ["a.b"], l3: { protocols: ["arp"] } }),
    `${EGRESS}.fqdns`,
    "PC_FAMILY_CONFLICT",
    /add ipv4 or ipv6/,
  ),
];

export const REFUSED_RULES: readonly RefusedProfile[] = [...PEERS, ...PREFIXES, ...NAMES, ...TRANSPORT];
