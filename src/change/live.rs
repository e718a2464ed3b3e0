//! What a host has loaded now: every listing of its platform, and the number by which a later writer is noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::host::{Host, HostError, Run};
use crate::ruleset::Ruleset;
use crate::target::{ALL, HostRules, Listing, Platform, ReadError, Section, Target, read_host};

use super::ChangeError;

/// A host's rules as they were at one moment.
#[derive(Clone, Debug)]
pub struct Live {
    /// What the host printed.
    pub listing: Listing,
    /// What it means.
    pub ruleset: Ruleset,
    /// The policy digest of each target's objects, by the target's name.
    digests: BTreeMap<&'static str, String>,
    /// The kernel's generation number, equal before and after the reading; none where it does not tell everything.
    pub generation: Option<u32>,
}

/// How often a listing is taken anew because somebody wrote while it was taken, or because it is torn.
const TRIES: u32 = 10;

/// How long the kernel is given to make a hash set larger after a listing that this has torn ([`Ruleset::torn`]).
const RESIZE: Duration = Duration::from_millis(200);

/// How long a firewall tool may take: `HARDEN993_TOOL_SECONDS`, else five minutes (a million networks take some seconds).
pub(super) fn patience(host: &dyn Host) -> Duration {
    let asked = host.var("HARDEN993_TOOL_SECONDS").and_then(|t| t.parse().ok()).filter(|s| (1..=3600).contains(s));
    Duration::from_secs(asked.unwrap_or(300))
}

impl Live {
    /// Reads the host.
    ///
    /// # Errors
    /// A tool that is missing, refused or printed something else; a host that is written to all the time.
    pub fn read(host: &dyn Host, platform: Platform) -> Result<Self, ChangeError> {
        for _ in 0..TRIES {
            let before = host.generation();
            let listing = observe(host, platform)?;
            if host.generation() == before {
                let rules = read_host(platform, &listing)?;
                if rules.ruleset.torn.is_some() {
                    host.sleep(RESIZE);
                    continue;
                }
                // The number knows nothing of the legacy tables.
                let silent = |program| listing.of(program).all(|s| s.text.trim().is_empty());
                let tells_all = silent("iptables-legacy-save") && silent("ip6tables-legacy-save");
                let generation = before.filter(|_| tells_all);
                return Ok(Self { generation, ..Self::of_listing(listing, rules) });
            }
        }
        Err(ChangeError::Busy)
    }

    /// A listing that was taken by somebody else, and what it means.
    pub fn of_listing(listing: Listing, HostRules { ruleset, digests }: HostRules) -> Self {
        Self { listing, ruleset, digests, generation: None }
    }

    /// The policy digest that a target's objects carry.
    pub fn digest(&self, target: &dyn Target) -> Option<String> {
        self.digests.get(target.spec().name).cloned()
    }

    /// Whether somebody has written since: by the generation number where it tells all, else by a second look.
    pub fn is_stale(&self, host: &dyn Host, platform: Platform) -> Result<bool, ChangeError> {
        if self.generation.is_some() {
            return Ok(host.generation() != self.generation);
        }
        Ok(rules(&observe(host, platform)?) != rules(&self.listing))
    }
}

/// The lines of a listing that are rules: counters and remarks of the tools change by themselves, and the firewall's own
/// check of the legacy variant makes a table that is empty.
fn rules(listing: &Listing) -> Vec<&str> {
    let lines = listing.sections.iter().flat_map(|s| s.text.lines());
    let frame = |l: &str| l.starts_with(['#', '*']) || l == "COMMIT" || (l.starts_with(':') && l.contains(" ACCEPT "));
    let bare = lines.map(|l| if l.starts_with('[') { l.split_once("] ").map_or(l, |(_, rule)| rule) } else { l });
    let kept = bare.filter(|l| !frame(l) && !l.contains("packets") && !l.contains("expires"));
    kept.map(|l| if l.starts_with(':') { l.split(" [").next().unwrap_or(l) } else { l }).collect()
}

/// Takes every listing of a platform.
pub fn observe(host: &dyn Host, platform: Platform) -> Result<Listing, ChangeError> {
    let mut sections = Vec::new();
    let mut has = BTreeSet::new();
    for observation in ALL.iter().filter(|t| t.platform() == platform).flat_map(|t| t.observations()) {
        if observation.is_spare(&has) {
            continue;
        }
        let run = Run::new(observation.program, observation.args.iter().copied()).time(patience(host));
        let ran = host.run(&run);
        if !matches!(ran, Err(HostError::Missing { .. })) {
            has.insert(observation.program);
        }
        match ran {
            Err(HostError::Missing { .. }) if observation.optional => {}
            Err(e) => return Err(e.into()),
            Ok(ran) if ran.success() => {
                let text = String::from_utf8(ran.stdout)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
                sections.push(Section { command: observation.command(), text, before: 0 });
            }
            // A kernel without the legacy tables is no fault; any other failure is one, or rules would be taken for none.
            Ok(ran) if observation.optional && ran.code.is_some() && ran.unsupported() => {}
            Ok(ran) => return Err(ChangeError::Refused { command: observation.command(), ran }),
        }
    }
    if sections.is_empty() {
        return Err(ChangeError::NoFirewall);
    }
    Ok(Listing { sections })
}

impl From<ReadError> for ChangeError {
    fn from(error: ReadError) -> Self {
        Self::Unreadable(error)
    }
}
