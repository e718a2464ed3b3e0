//! The law: what is rendered and read back answers every question as the policy does, for every target; and a rendering
//! that somebody changed does not.
#![allow(clippy::print_stdout)] // what was counted is shown with `--nocapture`

#[path = "support/dice.rs"]
mod dice;
#[path = "support/edges.rs"]
mod edges;
#[path = "support/mutants.rs"]
mod mutants;
#[path = "support/policies.rs"]
mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use harden993::access::{Access, Bucket, Interface, Packet, Path, Pattern, Per, Question, Rate, Refuse, Verdict};
use harden993::net::{AddrSet, Ranges, parse_network};
use harden993::policy::{Class, Draft, Feature, Forwarded, Grant, Limit, LogPolicy, Policy, TargetSettings};
use harden993::ruleset::Evaluator;
use harden993::target::{self, Adapted, File, Listing, ReadError, Target, adapt};

use dice::Dice;
use edges::edges;
use mutants::{Edit, Kind, changed, edits};

/// How many policies the law is held to for each target.
const POLICIES: u64 = 1000;

/// Everything of a target that a profile can choose: each combination of its keys' values.
fn variants(target: &dyn Target) -> Vec<TargetSettings> {
    let degrade: BTreeSet<Feature> = Feature::ALL.into();
    let mut out = vec![TargetSettings { degrade, ..TargetSettings::default() }];
    for (key, values) in target.spec().keys {
        let with = |s: &TargetSettings, value: &str| {
            let mut s = s.clone();
            s.choices.insert((*key).to_owned(), value.to_owned());
            s
        };
        out = out.iter().flat_map(|s| values.iter().map(|v| with(s, v))).collect();
    }
    out
}

/// A policy as a target enforces it.
struct Case<'a> {
    target: &'a dyn Target,
    settings: &'a TargetSettings,
    adapted: Adapted,
    digest: harden993::policy::Digest,
}

impl<'a> Case<'a> {
    /// None if the target cannot do this policy at all, whatever may be left out.
    fn new(target: &'a dyn Target, settings: &'a TargetSettings, policy: &Policy) -> Option<Self> {
        let asked = Feature::ALL.into();
        let adapted = adapt(target, policy, &asked, settings).ok()?;
        Some(Self { target, settings, adapted, digest: policy.digest() })
    }

    fn files(&self) -> Vec<File> {
        let job = self.adapted.job(self.digest, "generated", self.settings);
        let name = self.target.spec().name;
        self.target.render(&job).unwrap_or_else(|e| panic!("{name}: {e}\n{:?}", self.adapted.policy))
    }

    /// The first question that a text answers otherwise than the policy.
    fn broken(&self, text: &str) -> Result<Option<String>, ReadError> {
        let ruleset = self.target.read(&Listing::of_text(text))?;
        let mut evaluator = Evaluator::new(&ruleset);
        for question in self.adapted.policy.questions() {
            let expected = self.target.expected(&self.adapted.policy, self.settings, &question);
            let found = evaluator.ask(&question);
            // What a target leaves open is no promise that could be broken.
            let open = |v: &Verdict| matches!(v, Verdict::Unknown { .. });
            if let Some(d) = expected.differences(&found).into_iter().find(|d| !open(&d.left.verdict)) {
                return Ok(Some(format!("{question}: {}: expected {}, found {}", d.sources, d.left, d.right)));
            }
        }
        // Loading again what is loaded must be known as such.
        Ok((ruleset.digest != Some(self.digest.to_string())).then(|| format!("the digest {:?}", ruleset.digest)))
    }
}

/// The random policies of a test: every twentieth has lists of thousands of networks.
fn policies(seed: u64, count: u64) -> impl Iterator<Item = Policy> {
    (0..count).map(move |i| policies::draft(&mut Dice::new(seed + i), i % 100 == 17).lower())
}

#[test]
fn what_is_rendered_and_read_back_answers_as_the_policy_does() {
    for target in target::ALL {
        let (start, name) = (Instant::now(), target.spec().name);
        let settings = variants(*target);
        let (mut done, mut questions) = (0, 0);
        for (i, policy) in policies(1_000_000, 8 * POLICIES).enumerate() {
            if done == POLICIES {
                break;
            }
            let settings = &settings[i % settings.len()];
            let Some(case) = Case::new(*target, settings, &policy) else { continue };
            done += 1;
            questions += case.adapted.policy.questions().len();
            for file in case.files() {
                let broken = case
                    .broken(&file.content)
                    .unwrap_or_else(|e| panic!("{name} cannot read itself: {e}\n{}", file.content));
                assert_eq!(broken, None, "{name} {:?}, policy {i}:\n{}", settings.choices, file.content);
            }
        }
        // Wildcards of interfaces, and `via`, are what a target may refuse whatever is left out.
        assert_eq!(done, POLICIES, "{name} can render too few of the policies");
        println!("{name}: {done} policies, {questions} questions, {:?}", start.elapsed());
    }
}

/// A policy with every clause, of which no part is idle: whatever is changed in its rendering is seen by somebody.
fn every_clause() -> Draft {
    let set = |nets: &[&str]| nets.iter().map(|n| parse_network(n.as_bytes()).expect("a network")).collect::<AddrSet>();
    let grant = |nets: &[&str], limit| Grant { sources: set(nets), via: Vec::new(), limit };
    let bucket = |count, burst| Bucket { rate: Rate::new(count, Per::Minute), burst };
    Draft {
        ports: vec![993, 995],
        close_plaintext: true,
        action: Refuse::Reset,
        log: Some(LogPolicy { rate: Some(bucket(7, 3)) }),
        grants: vec![
            grant(&["203.0.113.0/28", "203.0.113.99", "2001:db8:1::/48"], None),
            grant(
                &["198.51.100.0/24", "2001:db8:10::/48"],
                Some(Limit { rate: Some(bucket(31, 17)), concurrent: Some(9) }),
            ),
        ],
        blocked: set(&["198.51.100.128/25", "2001:db8:10:1::/64"]),
        ..Draft::default()
    }
}

/// The same with what depends on interfaces, and with a network behind this host.
fn every_way() -> Draft {
    let patterns = |names: &[&str]| names.iter().map(|n| Pattern::parse(n)).collect::<Vec<_>>();
    let mut draft = every_clause();
    draft.interfaces = patterns(&["eth0", "wg0", "wg1"]);
    draft.forwarded = Forwarded::Routed("192.0.2.0/28".parse().expect("a network"));
    draft.grants.push(Grant {
        sources: ["192.168.7.0/24", "fd07::/64"]
            .map(|n| parse_network(n.as_bytes()).expect("a network"))
            .into_iter()
            .collect(),
        via: patterns(&["wg0"]),
        limit: None,
    });
    draft
}

/// What is in the rules of each target that let loopback pass.
const LOOPBACK: [&str; 3] = ["iif \"lo\" accept", " -i lo -j ", "pass in quick on \"lo0\" "];

/// Why a change of a rendering makes no difference to what is decided, where it makes none.
fn harmless(target: &str, policy: &Policy, edit: &Edit, line: &str) -> Option<&'static str> {
    let lost = edit.kind == Kind::Lost;
    let named = !policy.interfaces.is_empty();
    match target {
        _ if named && LOOPBACK.iter().any(|rule| line.contains(rule)) => {
            Some("loopback is none of the interfaces that are guarded")
        }
        "nftables" if line.contains("(fin | syn | rst) != syn goto odd") => {
            Some("a SYN with FIN or RST is none of the packets that are asked about; traffic shows what it does")
        }
        "nftables" if lost && line.trim() == "goto refuse" => {
            Some("what is over a limit comes back to the refusal of strangers, behind its own log line")
        }
        "iptables" if lost && line.starts_with("-A H993-LIMIT-") => {
            Some("what falls out of the last chain comes back to INPUT, which accepts where nobody else refuses")
        }
        "iptables"
            if edit.kind == Kind::Action
                && line.contains("--ctstate ESTABLISHED")
                && edit.new[0].contains("FIN,SYN") =>
        {
            Some("a SYN with FIN belongs to no connection")
        }
        "windows" if lost && line.trim_start().starts_with('\'') => {
            Some("without addresses an Allow rule is for all, of whom the Block rules refuse the others")
        }
        _ => None,
    }
}

#[test]
fn every_change_of_a_rendering_is_caught() {
    let policies = [every_clause().lower(), every_way().lower()];
    for target in target::ALL {
        let name = target.spec().name;
        let mut survivors = Vec::new();
        let mut counts: BTreeMap<Kind, u32> = BTreeMap::new();
        let variants = variants(*target);
        for (policy, settings) in policies.iter().flat_map(|p| variants.iter().map(move |s| (p, s))) {
            let Some(case) = Case::new(*target, settings, policy) else {
                assert!(name == "windows" && policy.zones.len() > 1, "{name} can do it");
                continue;
            };
            for file in case.files() {
                let lines: Vec<&str> = file.content.lines().collect();
                for edit in edits(name, &file.content) {
                    *counts.entry(edit.kind).or_default() += 1;
                    let caught = !matches!(case.broken(&changed(&file.content, &edit)), Ok(None));
                    if !caught && harmless(name, policy, &edit, lines[edit.at]).is_none() {
                        survivors.push(format!(
                            "{:?} {:?}: {:?} is {:?}",
                            settings.choices, edit.kind, lines[edit.at], edit.new
                        ));
                    }
                }
            }
        }
        println!("{name}: {counts:?}");
        assert!(survivors.is_empty(), "{name}: {} changes are not noticed:\n{}", survivors.len(), survivors.join("\n"));
    }
}

/// What a draft says of one source, worked out entry by entry.
fn class_of(draft: &Draft, interface: &Interface, source: IpAddr) -> Class {
    if draft.blocked.contains(source) {
        return Class::Blocked;
    }
    let holds = |via: &[harden993::access::Pattern]| via.is_empty() || via.iter().any(|p| interface.matches(p));
    let limits: Vec<Option<Limit>> =
        draft.grants.iter().filter(|g| holds(&g.via) && g.sources.contains(source)).map(|g| g.limit).collect();
    match limits.split_first() {
        None => Class::Refused,
        Some((first, rest)) => Class::Trusted(rest.iter().fold(*first, |a, b| Limit::largest(a, *b))),
    }
}

/// Every first and last address of a draft's networks and their neighbours.
fn edges_of(draft: &Draft) -> BTreeSet<IpAddr> {
    let mut out = BTreeSet::new();
    draft.grants.iter().map(|g| &g.sources).chain([&draft.blocked]).for_each(|set| edges(set, &mut out));
    out
}

#[test]
fn a_policy_says_of_every_source_what_its_draft_says() {
    for seed in 0..600 {
        let draft = policies::draft(&mut Dice::new(3_000_000 + seed), false);
        let policy = draft.clone().lower();
        let edges = edges_of(&draft);
        let names = ["eth0", "eth1", "eth7", "wg0", "wg1", "wg9", "wg-office", "wg-home", "ppp0"];
        for interface in names.map(Interface::parse) {
            let q = Question { path: Path::Input, port: draft.ports[0], interface, to: None, packet: Packet::Opening };
            let answer = policy.answer(&q);
            for source in &edges {
                let expected = if policy.covers(&q.interface) {
                    let family = if source.is_ipv4() { harden993::net::Family::V4 } else { harden993::net::Family::V6 };
                    policy.decide(class_of(&draft, &q.interface, *source), Packet::Opening, family)
                } else {
                    harden993::access::Verdict::Accept.into()
                };
                assert_eq!(*answer.at(*source), expected, "{q}, {source}, draft {seed}");
            }
        }
    }
}

#[test]
fn the_order_of_a_draft_does_not_matter() {
    for seed in 0..600 {
        let draft = policies::draft(&mut Dice::new(4_000_000 + seed), false);
        let mut other = draft.clone();
        other.grants.reverse();
        other.ports.reverse();
        other.interfaces.reverse();
        // An entry twice is the entry once.
        other.grants.extend(draft.grants.first().cloned());
        let (one, two) = (draft.lower(), other.lower());
        assert_eq!(one.digest(), two.digest(), "draft {seed}");
        assert_eq!(one, two, "draft {seed}");
    }
}

#[test]
fn a_closed_policy_accepts_nobody() {
    for policy in policies(5_000_000, 200) {
        let closed = policy.closed();
        for q in policy.questions().iter().filter(|q| q.packet == Packet::Opening && closed.ports.contains(&q.port)) {
            let answer = closed.answer(q);
            if policy.answer(q) != Access::uniform(harden993::access::Verdict::Accept) {
                let mut reached = answer.reachable();
                // Nobody of one family sends anything to addresses of the other.
                if let Some(to) = &q.to {
                    reached.v4 = if to.0.v4.is_empty() { Ranges::default() } else { reached.v4 };
                    reached.v6 = if to.0.v6.is_empty() { Ranges::default() } else { reached.v6 };
                }
                assert!(reached.is_empty(), "{q}");
            }
        }
    }
}
