//! Which questions a ruleset is asked about a host, and the answers, each question once.
//!
//! A user asks "who reaches port 993"; a ruleset can answer differently by interface, by destination and by whether the
//! packet stays on the host. Here the one is turned into the other, and equal answers are told once.

use std::collections::BTreeSet;

use crate::access::{Access, Interface, Outcome, Packet, Path, Pattern, Question, Verdict};
use crate::net::{AddrSet, Cuts, Family, Ranges};
use crate::policy::{Forwarded, Policy};
use crate::ruleset::{DESTINATION, Evaluator, Match, Ruleset};

/// What a report says it asked: null parts stand for everything that no other question of the same report names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Asked {
    /// The port that clients dial.
    pub port: u16,
    /// Whether the packets stay on this host or are forwarded: never [`Path::Outside`].
    pub path: Path,
    /// The interface, as a name or a pattern.
    pub interface: Option<String>,
    /// The destinations, as sorted minimal prefixes.
    pub to: Option<Vec<String>>,
}

/// The connections that are asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The ports.
    pub ports: Vec<u16>,
    /// The one interface; none: each that is guarded.
    pub interface: Option<Interface>,
    /// The one destination; none: this host's addresses, and what the ruleset or the policy tells apart.
    pub to: Option<AddrSet>,
    /// The one path; none: the one that the ruleset sends the packet along.
    pub path: Option<Path>,
    /// The guarded interfaces; empty: all but loopback.
    pub guarded: Vec<Pattern>,
    /// Interfaces that somebody tells apart beside the ruleset.
    pub named: BTreeSet<Pattern>,
    /// Destinations that are routed on and guarded.
    pub routed: Option<AddrSet>,
}

impl Scope {
    /// Everything that a policy guards.
    pub fn of_policy(policy: &Policy) -> Self {
        let zones = policy.zones.iter().flat_map(|z| z.patterns.iter().cloned());
        Self {
            ports: policy.all_ports(),
            interface: None,
            to: None,
            path: None,
            guarded: policy.interfaces.clone(),
            named: policy.interfaces.iter().cloned().chain(zones).collect(),
            routed: match &policy.forwarded {
                Forwarded::Routed(nets) => Some(nets.clone()),
                _ => None,
            },
        }
    }

    /// One port of a host of which nothing is known.
    pub fn of_port(port: u16) -> Self {
        Self {
            ports: vec![port],
            interface: None,
            to: None,
            path: None,
            guarded: Vec::new(),
            named: BTreeSet::new(),
            routed: None,
        }
    }

    /// Whether somebody beside the ruleset may want another answer by this interface than by the unnamed one.
    fn tells_apart(&self, interface: &Interface) -> bool {
        self.named.iter().any(|p| p.representative() == *interface)
    }

    /// The interfaces to ask about: one for each that somebody tells apart, the unnamed one first.
    fn interfaces(&self, rulesets: &[&Ruleset]) -> Vec<Interface> {
        if let Some(interface) = &self.interface {
            return vec![interface.clone()];
        }
        let mut named = self.named.clone();
        named.extend(rulesets.iter().flat_map(|r| r.interfaces()));
        let other = Interface::Fresh(String::new());
        let mut out = vec![other];
        out.extend(named.iter().map(Pattern::representative));
        out.dedup();
        let loopback = |i: &Interface| matches!(i, Interface::Named(n) if n == "lo" || n == "lo0");
        out.retain(|i| !loopback(i) && (self.guarded.is_empty() || self.guarded.iter().any(|p| i.matches(p))));
        out
    }
}

/// Sources of which something cannot be told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Unknown {
    /// Why, in one phrase.
    pub because: String,
    /// The rule on which it depends, as the ruleset names it.
    pub rule: Option<String>,
    /// The sources.
    pub sources: AddrSetOrd,
}

/// A set of addresses that can be ordered (by its spans).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AddrSetOrd(pub AddrSet);

impl PartialOrd for AddrSetOrd {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AddrSetOrd {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.v4.spans(), self.0.v6.spans()).cmp(&(other.0.v4.spans(), other.0.v6.spans()))
    }
}

impl Unknown {
    /// Everything that an answer leaves open of some sources, in order.
    pub fn of(access: &Access, ruleset: &Ruleset, sources: &AddrSet) -> Vec<Self> {
        if !access.may(|o| matches!(o.verdict, Verdict::Unknown { .. })) {
            return Vec::new();
        }
        let mut out: Vec<Self> = access
            .groups()
            .into_iter()
            .map(|(outcome, set)| (outcome, set.intersect(sources)))
            .filter(|(_, set)| !set.is_empty())
            .filter_map(|(outcome, set)| match outcome {
                Outcome { verdict: Verdict::Unknown { because }, by, .. } => Some(Self {
                    because,
                    rule: by.and_then(|r| ruleset.origin_of(r)).map(ToString::to_string),
                    sources: AddrSetOrd(set),
                }),
                _ => None,
            })
            .collect();
        out.sort();
        out
    }
}

/// One question with the answers of each ruleset that was asked.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked, for the report.
    pub asked: Asked,
    /// The question itself.
    pub question: Question,
    /// Who is asked about here: the sources that take this path in any of the rulesets.
    pub sources: AddrSet,
    /// What each ruleset says.
    pub accesses: Vec<Access>,
}

/// Asks rulesets who can open a connection, over all that they and the scope tell apart. Answers by interface that equal
/// the unnamed interface's are left out.
pub fn ask(rulesets: &[&Ruleset], scope: &Scope) -> Vec<Answer> {
    let mut evaluators: Vec<Evaluator<'_>> = rulesets.iter().map(|r| Evaluator::new(r)).collect();
    let interfaces = scope.interfaces(rulesets);
    let mut out = Vec::new();
    for port in &scope.ports {
        for (path, to) in ways(scope) {
            let mut unnamed: Vec<Answer> = Vec::new();
            for interface in &interfaces {
                let q = Question { path, port: *port, interface: interface.clone(), to: None, packet: Packet::Opening };
                let q = match &to {
                    Some(set) => q.to(set.clone()),
                    None => q,
                };
                let mut answers: Vec<Answer> = Vec::new();
                for (to, q) in split_by_destination(q, rulesets, &mut evaluators) {
                    answers.extend(split_by_path(&q, to.as_ref(), &mut evaluators));
                }
                let other = matches!(interface, Interface::Fresh(p) if p.is_empty());
                if other {
                    unnamed.clone_from(&answers);
                } else if scope.interface.is_none() && !scope.tells_apart(interface) && same(&answers, &unnamed) {
                    continue;
                }
                out.extend(answers);
            }
        }
    }
    out
}

fn same(a: &[Answer], b: &[Answer]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| {
            (x.asked.path, &x.asked.to, &x.sources) == (y.asked.path, &y.asked.to, &y.sources)
                && x.accesses == y.accesses
        })
}

/// The ways through the host that a scope asks about.
fn ways(scope: &Scope) -> Vec<(Path, Option<AddrSet>)> {
    match (scope.path, &scope.to) {
        (Some(path), to) => vec![(path, to.clone())],
        (None, Some(to)) => {
            let routed = scope.routed.as_ref().is_some_and(|nets| nets.contains_all(to));
            vec![(if routed { Path::Forwarded } else { Path::Outside }, Some(to.clone()))]
        }
        (None, None) => {
            let routed = scope.routed.clone().map(|nets| (Path::Forwarded, Some(nets)));
            std::iter::once((Path::Outside, None)).chain(routed).collect()
        }
    }
}

/// The most destinations that are asked about one by one; with more, what depends on them stays unknown.
const DESTINATIONS: usize = 64;

/// Where an answer depends on the destination, the question for each destination that the rules tell apart, and the one
/// for all others, each with the destinations that a report names (none for all others).
fn split_by_destination(
    q: Question,
    rulesets: &[&Ruleset],
    evaluators: &mut [Evaluator<'_>],
) -> Vec<(Option<AddrSet>, Question)> {
    let depends = |a: &Access| {
        let wanted = |o: &Outcome| matches!(&o.verdict, Verdict::Unknown { because } if because == DESTINATION);
        !a.select(wanted).is_empty()
    };
    let named = q.to.as_ref().map(|t| t.0.clone());
    if !evaluators.iter_mut().any(|e| depends(&e.ask(&q))) {
        return vec![(named, q)];
    }
    let within = named.clone().unwrap_or_else(AddrSet::all);
    let atoms = destinations(rulesets, &within);
    if atoms.is_empty() || atoms.len() > DESTINATIONS {
        return vec![(named, q)];
    }
    let others = atoms.iter().fold(within, |rest, atom| rest.minus(atom));
    let mut out = Vec::new();
    if !others.is_empty() {
        out.push((named.map(|_| others.clone()), q.clone().to(others)));
    }
    out.extend(atoms.into_iter().map(|set| (Some(set.clone()), q.clone().to(set))));
    out
}

/// The pieces of the destination space that the rules tell apart, without the piece that no rule names.
fn destinations(rulesets: &[&Ruleset], within: &AddrSet) -> Vec<AddrSet> {
    fn collect<'m>(m: &'m Match, out: &mut Vec<&'m AddrSet>) {
        match m {
            Match::Destination(set) => out.push(set),
            Match::Not(inner) => collect(inner, out),
            Match::All(inner) | Match::Any(inner) => inner.iter().for_each(|m| collect(m, out)),
            _ => {}
        }
    }
    let mut sets = Vec::new();
    for rule in rulesets.iter().flat_map(|r| &r.chains).flat_map(|c| &c.rules) {
        for m in &rule.matches {
            collect(m, &mut sets);
        }
    }
    sets.dedup();
    if sets.len() > 4 * DESTINATIONS {
        return vec![AddrSet::new(); DESTINATIONS + 1];
    }
    // Each piece is the set of the numbers of the sets that hold it, kept as a growing number.
    fn pieces<A: crate::net::Addr>(sets: &[&AddrSet], within: &AddrSet) -> Vec<Ranges<A>> {
        let mut numbers: std::collections::BTreeMap<(u32, bool), u32> = std::collections::BTreeMap::new();
        let mut cuts: Cuts<A, u32> = Cuts::uniform(0);
        let mut next = 0;
        for set in sets {
            numbers.clear();
            let mut fresh = next;
            cuts = cuts.zip(&Cuts::of_set(set.ranges::<A>(), true, false), |c, inside| {
                if !inside {
                    return c;
                }
                *numbers.entry((c, true)).or_insert_with(|| {
                    fresh += 1;
                    fresh
                })
            });
            next = fresh;
        }
        let classes: BTreeSet<u32> = cuts.iter().map(|c| c.class).filter(|c| *c != 0).collect();
        let parts = classes.into_iter().map(|class| cuts.select(|c| c == class).intersect(within.ranges::<A>()));
        parts.filter(|r| !r.is_empty()).collect()
    }
    let v4 = pieces::<u32>(&sets, within).into_iter().map(|v4| AddrSet { v4, v6: Ranges::new() });
    let v6 = pieces::<u128>(&sets, within).into_iter().map(|v6| AddrSet { v4: Ranges::new(), v6 });
    v4.chain(v6).collect()
}

/// Where a packet from outside is sent on to somebody else, that part of the sources is asked about as forwarded.
fn split_by_path(q: &Question, to: Option<&AddrSet>, evaluators: &mut [Evaluator<'_>]) -> Vec<Answer> {
    let asked = |path| Asked { port: q.port, path, interface: q.interface.label(), to: to.map(AddrSet::to_cidrs) };
    // A destination of one family is reached from sources of that family only.
    let everybody = q.to.as_ref().map_or_else(AddrSet::all, |t| {
        let family = |empty, f| if empty { AddrSet::new() } else { AddrSet::family(f) };
        family(t.0.v4.is_empty(), Family::V4).union(&family(t.0.v6.is_empty(), Family::V6))
    });
    if q.path != Path::Outside {
        let accesses = evaluators.iter_mut().map(|e| e.ask(q)).collect();
        return vec![Answer { asked: asked(q.path), question: q.clone(), sources: everybody, accesses }];
    }
    let mut forwarded = AddrSet::new();
    let mut accesses = Vec::with_capacity(evaluators.len());
    for evaluator in evaluators.iter_mut() {
        let (access, rewrites) = evaluator.ask_with_rewrites(q);
        for (rewrite, sources) in rewrites {
            if rewrite.to.is_some() {
                forwarded = forwarded.union(&sources);
            }
        }
        accesses.push(access);
    }
    let parts = [(Path::Input, everybody.minus(&forwarded)), (Path::Forwarded, everybody.intersect(&forwarded))];
    let parts = parts.into_iter().filter(|(_, sources)| !sources.minus(crate::net::no_source()).is_empty());
    parts
        .map(|(path, sources)| Answer { asked: asked(path), question: q.clone(), sources, accesses: accesses.clone() })
        .collect()
}
