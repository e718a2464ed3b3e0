//! Loading as data: the input of `iptables-restore` that brings our chains to what is wanted, chain by chain.

use std::collections::BTreeSet;

use crate::net::Family;
use crate::policy::TargetSettings;
use crate::target::{HEADING, Listing, LoadError, Loading, ReadError, Step, Wanted};

use super::read::{Block, Variant, scan};
use super::tree::{DIGITS, NODE};
use super::{delta, look};

/// How long a restore waits for others that hold the lock of the legacy variant, in seconds.
pub(super) const WAIT: &str = "60";

/// The start of the names of our chains.
const OURS: &str = "H993-";

/// Our jumps, each as the rule that it is and the chain that it leads to.
const JUMPS: [(&str, &str); 2] = [("-p tcp -j H993-IN", "H993-IN"), ("-p tcp -j H993-FWD", "H993-FWD")];

/// What a live listing holds of ours, as a capture with only our chains in it and, of the chains that jump to them, the
/// jumps. A jump that is not the first rule stands behind one that does nothing, in the place of those of others.
pub(super) fn snapshot(live: &Listing) -> Result<Option<String>, ReadError> {
    let scanned = scan(live)?;
    let mut out = String::new();
    for block in scanned.blocks.iter().filter(|b| b.table == "filter" && ours(b).next().is_some()) {
        out.extend([HEADING, &command_of(live, block, "save"), "\n*filter\n"]);
        let docker = leads_to_docker(block);
        let mut jumping = String::new();
        for chain in block.chains.iter().filter(|c| !c.name.starts_with(OURS)) {
            let before = jumping.len();
            for (from, text, at) in jumps(block).filter(|(from, ..)| *from == chain.name) {
                if at > 0 {
                    jumping.extend(["-A ", from, "\n"]);
                }
                jumping.extend(["-A ", from, " ", text, "\n"]);
            }
            if docker && chain.name == "FORWARD" {
                jumping.push_str("-A FORWARD -j DOCKER-USER\n");
            }
            if jumping.len() > before || docker && chain.name == "DOCKER-USER" {
                out.extend([":", chain.name, if chain.policy == "-" { " -" } else { " ACCEPT" }, " [0:0]\n"]);
            }
        }
        ours(block).for_each(|c| out.extend([":", c.name, " - [0:0]\n"]));
        out.push_str(&jumping);
        for chain in ours(block) {
            chain.rules.iter().for_each(|r| out.extend(["-A ", chain.name, " ", r.text, "\n"]));
        }
        out.push_str("COMMIT\n");
    }
    Ok((!out.is_empty()).then_some(out))
}

/// How to bring a host to what is wanted.
pub(super) fn loading(live: &Listing, wanted: Wanted<'_>, settings: &TargetSettings) -> Result<Loading, LoadError> {
    let now = scan(live)?;
    let text = match wanted {
        Wanted::Rendering(_, files) => {
            Some(Listing::of_text(files.iter().map(|f| f.content.as_str()).collect::<String>()))
        }
        Wanted::Snapshot(text) | Wanted::Anew(text) => Some(Listing::parse(text)),
        Wanted::Absent => None,
    };
    let goal = text.as_ref().map(scan).transpose()?;
    let mut out = Loading { delta: true, ..Loading::default() };
    let mut by_listing = false;
    for family in Family::ALL {
        let tables = || now.blocks.iter().filter(|b| b.family == family && b.table == "filter");
        let mut steps = Vec::new();
        let mut targets = Vec::new();
        for goal in goal.iter().flat_map(|g| &g.blocks).filter(|b| b.family == family && b.table == "filter") {
            // A snapshot goes to where it was taken.
            let variant = goal.variant.or(asked(settings));
            let target = choose(tables(), variant)?;
            let program = match target {
                Some(block) => command_of(live, block, "restore"),
                None => program(family, variant, "restore"),
            };
            steps.push((program, commit(target, Some(goal))));
            targets.extend(target);
        }
        // Where ours is in the other variant as well, it goes from there after it has come here.
        let others = tables().filter(|b| {
            !targets.iter().any(|t| std::ptr::eq(*t, *b)) && (ours(b).next().is_some() || jumps(b).next().is_some())
        });
        steps.extend(others.map(|b| (command_of(live, b, "restore"), commit(Some(b), None))));
        for (program, commit) in steps {
            let Some(commit) = commit else { continue };
            let args = ["--noflush", "-w", WAIT];
            out.delta &= !commit.whole;
            match look::looks(&program, commit.chains.as_deref()) {
                Some(looks) => out.looks.extend(looks),
                None => by_listing = true,
            }
            out.check.push(Step::new(&program, &["--test", "--noflush", "-w", WAIT], commit.text.clone()));
            out.load.push(Step::new(&program, &args, commit.text));
        }
    }
    out.delta &= !out.load.is_empty();
    if by_listing || !out.delta {
        out.looks.clear();
    }
    Ok(out)
}

/// The check of a snapshot: one rule of each kind, in the chains that hold it. A tree of networks is ten thousands of rules
/// that differ in nothing but the network, which was read, and the next chain of the tree; the tool takes all of a kind or
/// none.
pub(super) fn rehearsal(snapshot: &str) -> Result<Vec<Step>, LoadError> {
    let listing = Listing::parse(snapshot);
    let scanned = scan(&listing)?;
    let blocks = scanned.blocks.iter().filter(|b| b.table == "filter");
    let step = |block: &Block<'_>| {
        let program = command_of(&listing, block, "restore");
        Step::new(&program, &["--test", "--noflush", "-w", WAIT], sample(block))
    };
    Ok(blocks.map(step).collect())
}

/// One rule of each kind of our chains, as the input of a restore.
fn sample(block: &Block<'_>) -> String {
    let mut kinds = BTreeSet::new();
    let (mut chains, mut rules) = (BTreeSet::new(), String::new());
    for chain in ours(block) {
        for rule in &chain.rules {
            let network = rule.text.strip_prefix("-s ").and_then(|t| t.split_once(' '));
            let shape = network.map_or(rule.text, |(_, rest)| rest);
            let (head, target) = shape.rsplit_once(' ').unwrap_or(("", shape));
            if kinds.insert((kind(chain.name), network.is_some(), head, kind(target))) {
                chains.insert(chain.name);
                chains.extend(block.chain(target).map(|c| c.name));
                rules.extend(["-A ", chain.name, " ", rule.text, "\n"]);
            }
        }
        if chain.rules.is_empty() {
            chains.insert(chain.name);
        }
    }
    let mut out = "*filter\n".to_owned();
    for chain in chains {
        out.extend([":", chain, " - [0:0]\n"]);
    }
    out + &rules + "COMMIT\n"
}

/// The name of a chain; of the chains of a tree, whose names are digests, what they begin with.
fn kind(chain: &str) -> &str {
    let digest = chain.strip_prefix(NODE);
    if digest.is_some_and(|d| d.len() == DIGITS) { NODE } else { chain }
}

/// The variants that hold something of ours, in words.
pub(super) fn place(listing: &Listing) -> Result<Option<String>, ReadError> {
    let scanned = scan(listing)?;
    let holds = |b: &&Block<'_>| b.table == "filter" && (ours(b).next().is_some() || jumps(b).next().is_some());
    let names: BTreeSet<_> = scanned.blocks.iter().filter(holds).filter_map(|b| b.variant).map(Variant::name).collect();
    Ok((!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(" and ")))
}

/// The variant that the settings ask for.
pub(super) fn asked(settings: &TargetSettings) -> Option<Variant> {
    match settings.choice("variant") {
        Some("nft") => Some(Variant::Nft),
        Some("legacy") => Some(Variant::Legacy),
        _ => None,
    }
}

/// The table that ours belongs in: the one of the wanted variant, else where it is, else where the host's other rules are. None:
/// there is none yet.
fn choose<'a, 't: 'a>(
    tables: impl Iterator<Item = &'a Block<'t>>,
    wanted: Option<Variant>,
) -> Result<Option<&'a Block<'t>>, LoadError> {
    let mut tables: Vec<_> =
        tables.filter(|b| wanted.is_none() || b.variant.is_none() || b.variant == wanted).collect();
    if tables.len() > 1 {
        let with_ours: Vec<_> = tables.iter().copied().filter(|b| ours(b).next().is_some()).collect();
        if with_ours.is_empty() {
            tables.retain(|b| b.hidden || b.chains.iter().any(|c| !c.rules.is_empty()));
        } else {
            tables = with_ours;
        }
    }
    if tables.iter().any(|b| b.hidden) {
        return Err(LoadError::Host {
            message: "the filter table holds rules that only nft can show, so iptables cannot be used safely here"
                .to_owned(),
            help: "use the nftables target".to_owned(),
        });
    }
    match tables[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(LoadError::Host {
            message: "rules are loaded in both variants of iptables, nft and legacy".to_owned(),
            help: "say which one to use: variant = \"nft\" or \"legacy\" under [target.iptables]".to_owned(),
        }),
    }
}

/// The program beside the one that printed a table.
fn command_of(live: &Listing, block: &Block<'_>, verb: &str) -> String {
    let command = live.sections.get(block.section).map_or("", |s| s.command.as_str());
    let program = command.split(' ').next().unwrap_or_default();
    match program.strip_suffix("-save") {
        Some(tool) => format!("{tool}-{verb}"),
        None => format!("{}-{verb}", block.tool()),
    }
}

/// The program where no table is there yet.
fn program(family: Family, variant: Option<Variant>, verb: &str) -> String {
    let tool = if family == Family::V4 { "iptables" } else { "ip6tables" };
    match variant {
        Some(variant) => format!("{tool}-{}-{verb}", variant.name()),
        None => format!("{tool}-{verb}"),
    }
}

fn ours<'a, 't>(block: &'a Block<'t>) -> impl Iterator<Item = &'a super::read::RawChain<'t>> {
    block.chains.iter().filter(|c| c.name.starts_with(OURS))
}

/// Every jump of ours in a chain of somebody else: the chain, the rule and its place.
fn jumps<'a, 't>(block: &'a Block<'t>) -> impl Iterator<Item = (&'t str, &'static str, usize)> + 'a {
    block.chains.iter().filter(|c| !c.name.starts_with(OURS)).flat_map(|c| {
        c.rules.iter().enumerate().filter_map(move |(at, rule)| {
            let (text, _) = JUMPS.iter().find(|(text, _)| *text == rule.text)?;
            Some((c.name, *text, at))
        })
    })
}

/// Whether forwarded packets pass Docker's chain for rules like ours.
fn leads_to_docker(block: &Block<'_>) -> bool {
    block.chain("FORWARD").is_some_and(|c| c.rules.iter().any(|r| r.text == "-j DOCKER-USER"))
}

/// What is loaded in one commit.
struct Commit {
    text: String,
    /// Whether nothing of ours was there to be kept.
    whole: bool,
    /// The chains that it changes, if that is all it does.
    chains: Option<Vec<String>>,
}

/// The commit that brings our part of a table to what is wanted. None if it is so already.
fn commit(now: Option<&Block<'_>>, goal: Option<&Block<'_>>) -> Option<Commit> {
    let mut declarations = String::new();
    let mut rules = String::new();
    let mut chains = Vec::new();
    for chain in goal.into_iter().flat_map(|g| ours(g)) {
        let loaded = now.and_then(|n| n.chain(chain.name));
        let same =
            |l: &super::read::RawChain<'_>| l.rules.iter().map(|r| r.text).eq(chain.rules.iter().map(|r| r.text));
        if loaded.is_some_and(same) {
            continue;
        }
        chains.push(chain.name.to_owned());
        if let Some(edits) = loaded.and_then(|l| delta::edits(l, chain)) {
            rules.push_str(&edits);
            continue;
        }
        declarations.extend([":", chain.name, " - [0:0]\n"]);
        chain.rules.iter().for_each(|r| rules.extend(["-A ", chain.name, " ", r.text, "\n"]));
    }
    let mut ends = String::new();
    let forward = if now.is_some_and(leads_to_docker) { "DOCKER-USER" } else { "FORWARD" };
    for (text, chain) in JUMPS {
        let from = if chain == "H993-IN" { "INPUT" } else { forward };
        // A rendering is jumped to first of all; a snapshot as it was, if it was.
        let wanted = match goal {
            Some(goal) if goal.rendering => goal.chain(chain).map(|_| 0),
            Some(goal) => jumps(goal).find(|(_, t, _)| *t == text).map(|(.., at)| at.min(1)),
            None => None,
        };
        let there: Vec<_> = now.into_iter().flat_map(jumps).filter(|(_, t, _)| *t == text).collect();
        if let ([(at, _, place)], Some(wanted)) = (&there[..], wanted)
            && *at == from
            && (*place).min(1) == wanted
        {
            continue;
        }
        let others = now.and_then(|n| n.chain(from)).map_or(0, |c| c.rules.iter().filter(|r| r.text != text).count());
        for (at, ..) in there {
            ends.extend(["-D ", at, " ", text, "\n"]);
        }
        if let Some(place) = wanted {
            ends.extend(["-I ", from, if place.min(others) == 0 { " 1 " } else { " 2 " }, text, "\n"]);
        }
    }
    let stale = || now.into_iter().flat_map(|n| ours(n)).filter(|c| goal.is_none_or(|g| g.chain(c.name).is_none()));
    stale().for_each(|c| ends.extend(["-F ", c.name, "\n"]));
    stale().for_each(|c| ends.extend(["-X ", c.name, "\n"]));
    if declarations.is_empty() && rules.is_empty() && ends.is_empty() {
        return None;
    }
    let whole = now.is_none_or(|n| ours(n).next().is_none());
    let chains = ends.is_empty().then_some(chains);
    Some(Commit { text: format!("*filter\n{declarations}{rules}{ends}COMMIT\n"), whole, chains })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_checked_by_one_rule_of_each_kind() {
        let tree: String = (0..40)
            .map(|n| {
                let digest = format!("{n:0>13}");
                [
                    ":H993-X",
                    &digest,
                    " - [0:0]\n-A H993-TRUSTED -s 10.",
                    &n.to_string(),
                    ".0.0/16 -g H993-X",
                    &digest,
                    "\n-A H993-X",
                    &digest,
                    " -s 10.",
                    &n.to_string(),
                    ".1.0/24 -j ACCEPT\n-A H993-X",
                    &digest,
                    " -g H993-REST\n",
                ]
                .concat()
            })
            .collect();
        let text = format!(
            "{HEADING}ip6tables-nft-save\n*filter\n:H993-REST - [0:0]\n:H993-TRUSTED - [0:0]\n{tree}-A H993-REST -j DROP\nCOMMIT\n"
        );
        let steps = rehearsal(&text).expect("a listing");
        assert_eq!(steps.len(), 1);
        assert_eq!((steps[0].program.as_str(), steps[0].args[0].as_str()), ("ip6tables-nft-restore", "--test"));
        assert_eq!(
            steps[0].input,
            "*filter\n:H993-REST - [0:0]\n:H993-TRUSTED - [0:0]\n:H993-X0000000000000 - [0:0]\n-A H993-REST -j DROP\n\
             -A H993-TRUSTED -s 10.0.0.0/16 -g H993-X0000000000000\n-A H993-X0000000000000 -s 10.0.1.0/24 -j ACCEPT\n\
             -A H993-X0000000000000 -g H993-REST\nCOMMIT\n"
        );
    }
}
