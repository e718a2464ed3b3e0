//! What a ruleset holds of ours: found, printed for comparison, and replaced.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::read::canonical;
use crate::net::{AddrSet, Family};
use crate::ruleset::{Chain, ChainId, Hook, Match, Rule, Ruleset, Stage, Then};

/// The jumps of ours: the chain that they lead to.
const JUMPS: [(&str, Hook); 2] = [("H993-IN", Hook::Input), ("H993-FWD", Hook::Forward)];

/// A chain's name in its parts: `iptables filter H993-IN`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place<'a> {
    tool: &'a str,
    table: &'a str,
    chain: &'a str,
}

impl<'a> Place<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let mut parts = name.splitn(3, ' ');
        let (tool, table, chain) = (parts.next()?, parts.next()?, parts.next()?);
        (tool.starts_with("iptables") || tool.starts_with("ip6tables")).then_some(Self { tool, table, chain })
    }

    fn is_ours(self) -> bool {
        self.table == "filter" && self.chain.starts_with("H993-")
    }

    fn family(self) -> Family {
        if self.tool.starts_with("ip6") { Family::V6 } else { Family::V4 }
    }
}

/// The chains of ours.
pub(super) fn chains(ruleset: &Ruleset) -> impl Iterator<Item = (ChainId, &Chain)> {
    let numbered = (0u32..).map(ChainId).zip(&ruleset.chains);
    numbered.filter(|(_, c)| Place::of(&c.name).is_some_and(Place::is_ours))
}

/// A jump of ours that stands in a chain of somebody else.
struct Jump<'a> {
    tool: &'a str,
    from: &'a str,
    to: &'a str,
    /// Its place in the chain, counted from 1.
    at: usize,
}

/// Whether a rule is a jump of ours: TCP, nothing else tested, to one of the two chains.
fn is_jump(rule: &Rule, ruleset: &Ruleset) -> Option<ChainId> {
    let Then::Jump(to) = rule.then else { return None };
    let chain = Place::of(&ruleset.chains.get(to.0 as usize)?.name)?;
    let ours = chain.table == "filter" && JUMPS.iter().any(|(name, _)| *name == chain.chain);
    (ours && rule.matches.is_empty() && rule.log.is_none()).then_some(to)
}

fn jumps(ruleset: &Ruleset) -> Vec<Jump<'_>> {
    let mut out = Vec::new();
    for chain in &ruleset.chains {
        let Some(place) = Place::of(&chain.name).filter(|p| !p.is_ours()) else { continue };
        for (at, rule) in chain.rules.iter().enumerate() {
            if let Some(to) = is_jump(rule, ruleset)
                && let Some(to) = Place::of(&ruleset.chains[to.0 as usize].name)
            {
                out.push(Jump { tool: place.tool, from: place.chain, to: to.chain, at: at + 1 });
            }
        }
    }
    // As the tools list the chains, whatever order a file has.
    let order = ["INPUT", "FORWARD"];
    out.sort_by_key(|jump| order.iter().position(|o| *o == jump.from).unwrap_or(order.len()));
    out
}

/// Whether forwarded packets pass Docker's chain for rules like ours.
fn has_docker(ruleset: &Ruleset, tool: &str) -> bool {
    let leads = |chain: &Chain| {
        chain.rules.iter().any(|r| {
            let Then::Jump(to) = r.then else { return false };
            let to = ruleset.chains.get(to.0 as usize).and_then(|c| Place::of(&c.name));
            r.matches.is_empty() && to.is_some_and(|p| p.chain == "DOCKER-USER")
        })
    };
    let forward = Place { tool, table: "filter", chain: "FORWARD" };
    ruleset.chains.iter().any(|c| Place::of(&c.name) == Some(forward) && leads(c))
}

/// Everything of ours as text: each family's jumps and chains as rules, and the networks of a tree one a line, whatever
/// chains the tree is made of.
pub(super) fn print(ruleset: &Ruleset) -> String {
    let mut tools: BTreeMap<(Family, &str), Vec<(&str, &Chain)>> = BTreeMap::new();
    for (_, chain) in chains(ruleset) {
        if let Some(place) = Place::of(&chain.name) {
            tools.entry((place.family(), place.tool)).or_default().push((place.chain, chain));
        }
    }
    // Where both variants hold something of ours it is told apart; where one does, it does not matter which.
    let both = |family: Family| tools.keys().filter(|(f, _)| *f == family).count() > 1;
    let mut out = String::new();
    for ((family, tool), mut chains) in tools.clone() {
        let variant = if both(family) { format!(" ({tool})") } else { String::new() };
        let _ = writeln!(out, "# {family}{variant}");
        let docker = has_docker(ruleset, tool);
        for jump in jumps(ruleset).into_iter().filter(|j| j.tool == tool) {
            // Docker's chain stands in for FORWARD.
            let from = match (jump.from, docker) {
                ("DOCKER-USER", true) => "FORWARD",
                ("FORWARD", true) => "FORWARD(before Docker)",
                (from, _) => from,
            };
            // That it is not the first rule matters, not where it stands instead.
            let at = if jump.at == 1 { "first" } else { "later" };
            let _ = writeln!(out, "-A {from} -p tcp -j {} ({at} rule)", jump.to);
        }
        chains.sort_by_key(|(name, _)| *name);
        for (name, chain) in chains {
            for rule in &chain.rules {
                print_rule(name, rule, ruleset, family, &mut out);
            }
        }
    }
    out
}

fn print_rule(chain: &str, rule: &Rule, ruleset: &Ruleset, family: Family, out: &mut String) {
    let text = ruleset.origin_of(rule.origin).map_or("", |o| o.text.as_str());
    let sources = match (&rule.matches[..], text.starts_with("-s ")) {
        ([Match::Source(set)], true) => Some(set),
        _ => None,
    };
    let Some(set) = sources else {
        out.extend(["-A ", chain, " ", &canonical(text), "\n"]);
        return;
    };
    // What stands behind the last network.
    let action = text.find(" -j ").or_else(|| text.find(" -g ")).map_or("", |at| &text[at..]);
    networks(set, family, |network| {
        out.extend(["-A ", chain, " -s "]);
        network(out);
        out.extend([action, "\n"]);
    });
}

/// Calls once a network, with what appends it.
fn networks(set: &AddrSet, family: Family, mut each: impl FnMut(&dyn Fn(&mut String))) {
    match family {
        Family::V4 => set.v4.prefixes().for_each(|p| each(&move |out| p.write(out))),
        Family::V6 => set.v6.prefixes().for_each(|p| each(&move |out| p.write(out))),
    }
}

/// The current ruleset with ours replaced by what was rendered, as loading would leave it.
pub(super) fn replace(current: &Ruleset, rendered: &Ruleset) -> Ruleset {
    let mut out = Ruleset {
        stages: current.stages.clone(),
        chains: current.chains.clone(),
        origins: current.origins.clone(),
        digest: rendered.digest.clone(),
        remarks: current.remarks.clone(),
        torn: None,
    };
    // Ours goes: the jumps first, then the chains, which keep their numbers and lose their names and rules.
    let jumping: Vec<Vec<bool>> =
        current.chains.iter().map(|c| c.rules.iter().map(|r| is_jump(r, current).is_some()).collect()).collect();
    for (chain, jumping) in out.chains.iter_mut().zip(jumping) {
        let mut jumping = jumping.into_iter();
        chain.rules.retain(|_| !jumping.next().unwrap_or_default());
    }
    let mut old: HashMap<String, ChainId> = HashMap::new();
    for (id, chain) in chains(current) {
        let gone = &mut out.chains[id.0 as usize];
        gone.name.clear();
        gone.rules.clear();
        old.insert(chain.name.clone(), id);
    }
    for family in Family::ALL {
        add(&mut out, current, rendered, family, &old);
    }
    out
}

/// Adds what was rendered for one family.
fn add(out: &mut Ruleset, current: &Ruleset, rendered: &Ruleset, family: Family, old: &HashMap<String, ChainId>) {
    let mine: Vec<(ChainId, &Chain)> =
        chains(rendered).filter(|(_, c)| Place::of(&c.name).is_some_and(|p| p.family() == family)).collect();
    if mine.is_empty() {
        return;
    }
    let tool = tool_for(current, family);
    let mut map: HashMap<ChainId, ChainId> = HashMap::new();
    for (id, chain) in &mine {
        let name = Place::of(&chain.name).map_or_else(String::new, |p| format!("{tool} filter {}", p.chain));
        // A chain that is there already keeps its number, and so what others have that leads to it.
        let new = match old.get(&name) {
            Some(known) => {
                out.chains[known.0 as usize].name.clone_from(&name);
                *known
            }
            None => out.chain(name),
        };
        map.insert(*id, new);
    }
    for (id, chain) in &mine {
        let rules = chain.rules.iter().map(|rule| copied(rule, rendered, out, &map)).collect();
        out.chains[map[id].0 as usize].rules = rules;
    }
    for (name, hook) in JUMPS {
        let Some((id, _)) = mine.iter().find(|(_, c)| Place::of(&c.name).is_some_and(|p| p.chain == name)) else {
            continue;
        };
        let docker = hook == Hook::Forward && has_docker(current, &tool);
        let from = match hook {
            Hook::Input => "INPUT",
            _ if docker => "DOCKER-USER",
            _ => "FORWARD",
        };
        let place = format!("{tool} filter {from}");
        let chain = (0u32..).map(ChainId).zip(&out.chains).find(|(_, c)| c.name == place).map(|(id, _)| id);
        let chain = chain.unwrap_or_else(|| out.chain(place.as_str()));
        let origin = crate::ruleset::Origin {
            place: place.as_str().into(),
            line: 0,
            handle: None,
            text: format!("-p tcp -j {name}"),
        };
        let origin = out.origin(origin);
        let jump = Rule { matches: Vec::new(), log: None, then: Then::Jump(map[id]), origin };
        out.chains[chain.0 as usize].rules.insert(0, jump);
        if !docker && !out.stages.iter().any(|s| s.chain == chain) {
            out.stages.push(Stage {
                name: place,
                hook,
                priority: 0,
                family: Some(family),
                nat: false,
                chain,
                policy: Then::Accept,
                ours: false,
            });
        }
    }
}

/// The variant that ours is loaded with: where it is already, else the one that has a filter table.
fn tool_for(current: &Ruleset, family: Family) -> String {
    let of_family = |p: &Place<'_>| p.family() == family && p.table == "filter";
    let ours = chains(current).filter_map(|(_, c)| Place::of(&c.name)).find(of_family);
    let any = || current.chains.iter().filter_map(|c| Place::of(&c.name)).filter(of_family).min();
    ours.or_else(any).map_or_else(
        || if family == Family::V4 { "iptables".to_owned() } else { "ip6tables".to_owned() },
        |p| p.tool.to_owned(),
    )
}

fn copied(rule: &Rule, from: &Ruleset, to: &mut Ruleset, map: &HashMap<ChainId, ChainId>) -> Rule {
    let origin = to.origin(from.origin_of(rule.origin).cloned().unwrap_or_default());
    let moved = |id: ChainId| map.get(&id).copied();
    let then = match &rule.then {
        Then::Jump(id) => moved(*id).map(Then::Jump),
        Then::Goto(id) => moved(*id).map(Then::Goto),
        other => Some(other.clone()),
    };
    let then = then.unwrap_or_else(|| Then::Unknown("a chain of ours that is not rendered".to_owned()));
    Rule { matches: rule.matches.clone(), log: rule.log, then, origin }
}
