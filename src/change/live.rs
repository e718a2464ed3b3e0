//! What a host has loaded now: every listing of its platform, and the number by which a later writer is noticed.

use crate::host::{Host, HostError, Run};
use crate::ruleset::Ruleset;
use crate::target::{ALL, Listing, Platform, ReadError, Section, read_host};

use super::ChangeError;

/// A host's rules as they were at one moment.
#[derive(Clone, Debug)]
pub struct Live {
    /// What the host printed.
    pub listing: Listing,
    /// What it means.
    pub ruleset: Ruleset,
    /// The kernel's generation number, equal before and after the reading; none where it does not tell everything.
    pub generation: Option<u32>,
}

/// How often a listing is taken anew because somebody wrote while it was taken.
const TRIES: u32 = 5;

/// The bound on one listing, in seconds: a million networks take a few.
const SECONDS: u64 = 300;

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
                let ruleset = read_host(platform, &listing)?;
                // The number knows nothing of the legacy tables.
                let silent = |program| listing.of(program).all(|s| s.text.trim().is_empty());
                let tells_all = silent("iptables-legacy-save") && silent("ip6tables-legacy-save");
                let generation = before.filter(|_| tells_all);
                return Ok(Self { listing, ruleset, generation });
            }
        }
        Err(ChangeError::Busy)
    }

    /// Whether somebody has written since: by the generation number where it tells all, else by a second look.
    pub fn is_stale(&self, host: &dyn Host, platform: Platform) -> Result<bool, ChangeError> {
        if self.generation.is_some() {
            return Ok(host.generation() != self.generation);
        }
        Ok(rules(&observe(host, platform)?) != rules(&self.listing))
    }
}

/// The lines of a listing that are rules: counters and remarks of the tools change by themselves.
fn rules(listing: &Listing) -> Vec<String> {
    let lines = listing.sections.iter().flat_map(|s| s.text.lines());
    let kept = lines.filter(|l| !l.starts_with('#') && !l.contains("packets") && !l.contains("expires"));
    kept.map(|l| if l.starts_with(':') { l.split(" [").next().unwrap_or(l).to_owned() } else { l.to_owned() }).collect()
}

/// Takes every listing of a platform.
pub fn observe(host: &dyn Host, platform: Platform) -> Result<Listing, ChangeError> {
    let mut sections = Vec::new();
    for observation in ALL.iter().filter(|t| t.platform() == platform).flat_map(|t| t.observations()) {
        let run = Run::new(observation.program, observation.args.iter().copied())
            .time(std::time::Duration::from_secs(SECONDS));
        match host.run(&run) {
            Err(HostError::Missing { .. }) if observation.optional => {}
            Err(e) => return Err(e.into()),
            Ok(ran) if ran.success() => {
                let text = String::from_utf8(ran.stdout)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
                sections.push(Section { command: observation.command(), text, before: 0 });
            }
            // A kernel without the legacy tables is no fault; want of permission is one, whatever the tool.
            Ok(ran) if observation.optional && ran.code.is_some() && !ran.denied() => {}
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
