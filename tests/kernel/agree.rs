//! Generated policies: every sampled packet is decided by the kernel as the policy says, not one otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use harden993::access::{Access, Interface, Outcome, Packet, Path, Question, Refuse, Verdict};
use harden993::net::{Addr, AddrSet, no_source};
use harden993::policy::{Forwarded, Policy};
use harden993::profile::{Disk, Options, Origin, load};

use crate::backend::{Backend, IPTABLES_LEGACY, IPTABLES_NFT, NFT};
use crate::dice::Dice;
use crate::lab::{CONTAINER4, CONTAINER6, HOST4, HOST6, Lab, inside};
use crate::policies::{self, Places};
use crate::probe::{ACK, Fate, Gun, Probe, SYN, SYN_FIN};

/// The host's interfaces: every one that generated policies and the examples name, and for each wildcard one that nobody
/// names.
const INTERFACES: &[&str] =
    &["eth0", "eth1", "eth7", "wg0", "wg1", "wg9", "wg-office", "wg-home", "ppp0", "wan0", "lan0", "gre1"];

/// The addresses of sources that a policy can tell apart: every boundary and its neighbours, and some at random.
fn sources(policy: &Policy, dice: &mut Dice) -> Vec<IpAddr> {
    fn family<A: Places>(policy: &Policy, dice: &mut Dice, out: &mut BTreeSet<IpAddr>) {
        for zone in &policy.zones {
            let set = AddrSet::all().minus(&zone.partition.members(Policy::REFUSED));
            let blocked = zone.partition.members(Policy::BLOCKED);
            for span in set.ranges::<A>().spans().iter().chain(blocked.ranges::<A>().spans()) {
                let around = [span.first.prev(), Some(span.first), Some(span.last), span.last.next()];
                out.extend(around.into_iter().flatten().map(Addr::ip));
            }
            for (class, _) in policy.trusted_classes() {
                let members = zone.partition.members(class);
                out.extend(members.ranges::<A>().spans().iter().flat_map(|s| [s.first.ip(), s.last.ip()]));
            }
        }
        out.extend((0..10).map(|_| A::random(dice).ip()));
    }
    let mut out = BTreeSet::new();
    family::<u32>(policy, dice, &mut out);
    family::<u128>(policy, dice, &mut out);
    // Its own, and those that stand for any router of its networks.
    let own = [HOST4, HOST6, "172.29.0.1", "fd29::1", "172.29.0.255", "172.29.0.0", "fd29::", "fe80::"];
    out.into_iter().filter(|ip| !no_source().contains(*ip) && !own.contains(&ip.to_string().as_str())).collect()
}

/// A packet and the question that it is.
struct Shot {
    probe: Probe,
    question: Question,
}

/// The way that a test sends packets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the host, and to destinations behind it as they are.
    Plain,
    /// To the host, which translates them for its container.
    Translated,
}

/// Packets for everything that a policy can tell apart, or a random part of it.
fn shots(lab: &Lab, policy: &Policy, way: Way, dice: &mut Dice, most: u64) -> Vec<Shot> {
    let sources = sources(policy, dice);
    let ports = policy.port_classes();
    let kinds = [(SYN, Packet::Opening), (SYN_FIN, Packet::OddOpening), (ACK, Packet::Stray)];
    let mut out = Vec::new();
    let all = (sources.len() * ports.len() * kinds.len() * INTERFACES.len() * 2) as u64;
    for source in &sources {
        for port in &ports {
            for (flags, packet) in kinds {
                for interface in INTERFACES {
                    for routed in [false, true] {
                        if all > most && dice.below(all) >= most {
                            continue;
                        }
                        // What a flow that is no SYN is translated to depends on how strictly connections are tracked.
                        if way == Way::Translated && (packet != Packet::Opening || routed) {
                            continue;
                        }
                        // No router forwards what comes from a link-local address (RFC 4291 section 2.5.6).
                        if path_forwards(routed, way) && link_local(*source) {
                            continue;
                        }
                        let behind = if source.is_ipv4() { CONTAINER4 } else { CONTAINER6 };
                        let host = Lab::host_address(*source);
                        let to = if routed { destination(policy, source.is_ipv4(), behind, dice) } else { host };
                        let path = if path_forwards(routed, way) { Path::Forwarded } else { Path::Input };
                        let question =
                            Question { path, port: *port, interface: Interface::parse(interface), to: None, packet };
                        let question = if routed { question.to(AddrSet::from_iter([network(to)])) } else { question };
                        let probe = Probe { interface: lab.number(interface), source: *source, to, port: *port, flags };
                        out.push(Shot { probe, question });
                    }
                }
            }
        }
    }
    // Tests of limits are others; here nobody reaches one.
    let mut spent = BTreeMap::new();
    out.retain(|shot| within_limits(policy, shot, &mut spent));
    out
}

/// Whether a packet goes through the host.
fn path_forwards(routed: bool, way: Way) -> bool {
    routed || way == Way::Translated
}

fn link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(a) if a.is_unicast_link_local())
}

/// A destination behind the host: one that the policy guards, or the container.
fn destination(policy: &Policy, v4: bool, behind: &str, dice: &mut Dice) -> IpAddr {
    let guarded = match &policy.forwarded {
        Forwarded::Routed(to) if v4 => to.v4.spans().first().map(|s| s.last.ip()),
        Forwarded::Routed(to) => to.v6.spans().first().map(|s| s.first.ip()),
        _ => None,
    };
    guarded.filter(|_| dice.below(3) > 0).unwrap_or_else(|| behind.parse().expect("an address"))
}

fn network(ip: IpAddr) -> harden993::net::Network {
    harden993::net::parse_network(ip.to_string().as_bytes()).expect("an address is a network")
}

/// Spends one connection of a source, if it stands under limits; false if it has none left.
fn within_limits(policy: &Policy, shot: &Shot, spent: &mut BTreeMap<(Outcome, String, u16), u32>) -> bool {
    let outcome = policy.answer(&shot.question).at(shot.probe.source).clone();
    let Verdict::Limit { limits, .. } = outcome.verdict else { return true };
    let most = limits.rate.map_or(u32::MAX, |b| b.burst).min(limits.concurrent.unwrap_or(u32::MAX));
    let prefix = match shot.probe.source {
        IpAddr::V4(a) => u32::from(a).and(u32::mask(limits.prefix)).ip(),
        IpAddr::V6(a) => u128::from(a).and(u128::mask(limits.prefix)).ip(),
    };
    let spent = spent.entry((outcome, prefix.to_string(), shot.probe.port)).or_default();
    *spent += 1;
    *spent <= most
}

/// What a verdict looks like from outside.
fn fate(verdict: &Verdict) -> Fate {
    match verdict {
        Verdict::Accept | Verdict::Limit { .. } => Fate::Passed,
        Verdict::Refuse(Refuse::Reset) => Fate::Reset,
        Verdict::Refuse(_) => Fate::Dropped,
        Verdict::Unknown { because } => panic!("a policy knows everything, but {because}"),
    }
}

/// A host on which policies are loaded one after the other.
struct Judge<'l> {
    lab: &'l Lab,
    gun: Gun<'l>,
    backend: Backend,
    sent: usize,
}

impl Judge<'_> {
    /// Sends packets through what is loaded and holds each to the policy.
    fn hold(&mut self, policy: &Policy, way: Way, dice: &mut Dice, most: u64, name: &str) {
        let shots = shots(self.lab, policy, way, dice, most);
        let probes: Vec<Probe> = shots.iter().map(|s| s.probe).collect();
        let mut answers: BTreeMap<&Question, Access> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (shot, found) in shots.iter().zip(self.gun.fire(&probes)) {
            let answer = answers.entry(&shot.question).or_insert_with(|| self.backend.expected(policy, &shot.question));
            let outcome = answer.at(shot.probe.source);
            if fate(&outcome.verdict) != found {
                let source = shot.probe.source;
                wrong.push(format!("{} from {source}: the policy says {outcome}, the kernel {found:?}", shot.question));
            }
        }
        wrong.truncate(20);
        assert!(wrong.is_empty(), "{name}: packets are decided otherwise:\n{}", wrong.join("\n"));
        self.sent += shots.len();
    }

    /// Loads a policy on a clean host and holds it to its packets, at the host itself and behind a translation.
    fn try_policy(&mut self, policy: &Policy, dice: &mut Dice, name: &str) {
        let (policy, text) = self.backend.render(policy);
        if !self.backend.fits(&text) {
            return;
        }
        self.backend.clear();
        self.backend.load(&text);
        self.hold(&policy, Way::Plain, dice, 4000, name);
        // Behind a translation, only what the policy says of forwarded connections counts.
        self.backend.clear();
        self.backend.load(&text);
        self.lab.nft(&translation(&policy.port_classes()));
        self.hold(&policy, Way::Translated, dice, 1000, &format!("{name}, translated"));
    }
}

/// Generated policies, one after the other on one host.
fn generated(test: &str, backend: Backend, seeds: std::ops::Range<u64>) {
    inside(test, || {
        let lab = Lab::new(INTERFACES);
        let mut judge = Judge { lab: &lab, gun: Gun::new(&lab), backend, sent: 0 };
        for seed in seeds {
            let mut dice = Dice::new(seed);
            let policy = policies::draft(&mut dice, seed % 10 == 9).lower();
            lab.host.sysctl("netfilter/nf_conntrack_tcp_loose", if dice.below(2) == 0 { "1" } else { "0" });
            judge.try_policy(&policy, &mut dice, &format!("policy {seed}"));
        }
        assert!(judge.sent > 10_000, "only {} packets were sent", judge.sent);
    });
}

/// The example profiles, on a host that has their interfaces.
fn examples(test: &str, backend: Backend) {
    inside(test, || {
        let lab = Lab::new(INTERFACES);
        let mut judge = Judge { lab: &lab, gun: Gun::new(&lab), backend, sent: 0 };
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let mut tried = 0;
        for entry in std::fs::read_dir(folder).expect("the examples are there") {
            let path = entry.expect("the folder can be read").path();
            if path.extension().is_none_or(|e| e != "toml") {
                continue;
            }
            let name = path.display().to_string();
            let specs: Vec<_> = harden993::target::ALL.iter().map(|t| t.spec()).collect();
            // A day on which no example has expired.
            let options = Options { today: jiff::civil::date(2026, 11, 25), specs: &specs };
            let loaded = load(&Origin::File(path), &options, &Disk);
            let policy = loaded.policy.unwrap_or_else(|| panic!("{name}: {:?}", loaded.problems));
            judge.try_policy(&policy, &mut Dice::new(7), &name);
            tried += 1;
        }
        assert!(tried >= 9 && judge.sent > 10_000, "{tried} examples, {} packets", judge.sent);
    });
}

/// Sends what comes to the ports on to the container, to other ports.
pub(crate) fn translation(ports: &[u16]) -> String {
    let table = |family: &str, to: &str| {
        let rule =
            |port: &u16| format!("tcp dport {port} fib daddr type local dnat to {to}:{}\n", port % 1000 + 10_000);
        let rules: String = ports.iter().map(rule).collect();
        format!("table {family} published {{\nchain pre {{\ntype nat hook prerouting priority -100;\n{rules}}}\n}}\n")
    };
    table("ip", CONTAINER4) + &table("ip6", &format!("[{CONTAINER6}]"))
}

#[test]
fn nftables_decides_generated_policies_as_they_say() {
    generated("agree::nftables_decides_generated_policies_as_they_say", NFT, 0..20);
}

#[test]
fn iptables_nft_decides_generated_policies_as_they_say() {
    generated("agree::iptables_nft_decides_generated_policies_as_they_say", IPTABLES_NFT, 20..40);
}

#[test]
fn iptables_legacy_decides_generated_policies_as_they_say() {
    generated("agree::iptables_legacy_decides_generated_policies_as_they_say", IPTABLES_LEGACY, 40..60);
}

#[test]
fn nftables_decides_the_examples_as_they_say() {
    examples("agree::nftables_decides_the_examples_as_they_say", NFT);
}

#[test]
fn iptables_nft_decides_the_examples_as_they_say() {
    examples("agree::iptables_nft_decides_the_examples_as_they_say", IPTABLES_NFT);
}

#[test]
fn iptables_legacy_decides_the_examples_as_they_say() {
    examples("agree::iptables_legacy_decides_the_examples_as_they_say", IPTABLES_LEGACY);
}
