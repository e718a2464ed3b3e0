//! A profile that reaches the same addresses as an existing ruleset, with what the old rules said beside each entry.

mod doors;
mod prove;
mod share;
mod write;

use crate::change::{Scope, ask};
use crate::net::{AddrSet, Family};
use crate::profile;

use self::doors::Doors;
use self::share::Shared;

use super::current::Seen;
use super::{Code, Failure};

/// The most ports of one profile.
const PORTS: usize = 15;

/// A profile that was made from a ruleset.
#[derive(Debug)]
pub(super) struct Proposal {
    /// The profile, as TOML.
    pub(super) profile: String,
    /// What could not be taken over, one sentence each.
    pub(super) left_out: Vec<String>,
}

/// Makes a profile of who can open a connection to some ports under a ruleset, and proves it: for every port that it
/// guards, every interface that it or the ruleset tells apart, and both ways through the host, it lets in exactly whom the
/// ruleset lets in, but for what is listed as left out. It never lets in more.
pub(super) fn propose(seen: &Seen, ports: &[u16]) -> Result<Proposal, Failure> {
    let ruleset = seen.ruleset();
    let mut once = Vec::with_capacity(ports.len());
    for port in ports {
        if !once.contains(port) {
            once.push(*port);
        }
    }
    if once.len() > PORTS {
        return Err(Failure::wrong(Code::Argument, format!("a profile guards at most {PORTS} ports"))
            .help("name fewer of them by `--port`"));
    }
    let (silent, silence) = silent(seen);
    // Every interface is asked for by its name, so that none is taken for another that covers it.
    let named = ruleset.interfaces();
    let mut read = Vec::with_capacity(once.len());
    for port in once {
        let answers = ask(&[ruleset], &Scope { named: named.clone(), ..Scope::of_port(port) });
        read.push((port, Doors::read(ruleset, &answers, &silent), answers));
    }
    let mut left_out: Vec<String> = silence.into_iter().collect();
    let mut read = read.into_iter();
    let Some((first, doors, answers)) = read.next() else {
        return Err(Failure::wrong(Code::Argument, "no port was asked about"));
    };
    let mut guarded = vec![(first, answers)];
    for (port, others, answers) in read {
        match doors.differs(&others) {
            None => guarded.push((port, answers)),
            Some(how) => left_out.push(format!(
                "port {port}: others reach it than port {first} ({how}), so the profile does not guard it"
            )),
        }
    }
    left_out.extend(doors.open.iter().cloned());
    let shared = Shared::of(&doors, &silent, &mut left_out);
    left_out.extend(ruleset.remarks.iter().cloned());
    let ports: Vec<u16> = guarded.iter().map(|(port, _)| *port).collect();
    let text = |left_out: &[String]| write::profile(&seen.source, &ports, &shared, left_out);
    let proposed = text(&left_out);
    if proposed.len() > profile::MAX_TOML {
        return Err(Failure::wrong(
            Code::Unsupported,
            format!(
                "{} rules let somebody in, and a profile with an entry for each is larger than {} MiB",
                shared.entries.len(),
                profile::MAX_TOML >> 20
            ),
        )
        .help("name the networks in a list file by hand; `harden993 reach --all` tells them all"));
    }
    let loaded = prove::hold(&proposed, &shared, &guarded)?;
    left_out.extend(prove::render(seen.target, &loaded)?);
    Ok(Proposal { profile: text(&left_out), left_out })
}

/// The family of which a listing says nothing because it is listed by itself, and a sentence about it.
fn silent(seen: &Seen) -> (AddrSet, Option<String>) {
    let stages = &seen.ruleset().stages;
    let whole = seen.live.listing.sections.iter().any(|s| !s.command.is_empty());
    if whole || !seen.target.by_family() {
        return (AddrSet::new(), None);
    }
    let unseen = |f: &Family| stages.iter().all(|s| s.family.is_some_and(|of| of != *f));
    match Family::ALL.into_iter().find(unseen) {
        Some(family) => {
            let name = if family == Family::V4 { "IPv4" } else { "IPv6" };
            let line = format!(
                "{name}: the listing holds nothing of it; give both families' in one file, as `harden993 capture` does"
            );
            (AddrSet::family(family), Some(line))
        }
        None => (AddrSet::new(), None),
    }
}
