//! nftables: one file for `nft -f` that replaces our table, `inet harden993`, and touches nothing else.

mod counters;
mod delta;
mod load;
mod look;
mod ours;
mod print;
mod read;
mod render;
mod sets;
#[cfg(test)]
mod tests;

use crate::access::{Bucket, Pattern};
use crate::policy::{Policy, TargetSettings, TargetSpec};
use crate::ruleset::Ruleset;

use super::{
    Counter, File, Job, Lack, Listing, LoadError, Loading, Observation, Platform, ReadError, Refusal, RenderError,
    Section, Step, Target, Unprinted, Wanted,
};

/// Our table, by family and name.
const TABLE: &str = "inet harden993";

/// What the name of the empty chain begins with that says which policy is loaded. As a chain it stands in every listing of
/// every version, and a small change can make sure, by deleting it, that nobody has loaded another policy meanwhile.
const REVISION: &str = "rev_";

/// The packet filter of Linux, spoken to with `nft`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nftables;

/// The time in which an empty bucket fills, in seconds, and at least a minute: a source that is forgotten earlier would find
/// its bucket full again.
fn refill_seconds(bucket: Bucket) -> u64 {
    let (count, seconds) = bucket.rate.per_second();
    (u64::from(bucket.burst) * seconds).div_ceil(count.max(1)).max(60)
}

impl Target for Nftables {
    fn spec(&self) -> TargetSpec {
        TargetSpec { name: "nftables", keys: &[] }
    }

    fn lacks(&self, _policy: &Policy, _settings: &TargetSettings) -> Vec<Lack> {
        Vec::new()
    }

    fn refuses(&self, policy: &Policy, _settings: &TargetSettings) -> Vec<Refusal> {
        let names = policy.interfaces.iter().chain(policy.zones.iter().flat_map(|z| &z.patterns));
        names
            .filter(|p| !is_interface(p))
            .map(|p| Refusal {
                feature: None,
                message: format!("`{}` cannot be the name of a Linux interface", p.to_string().escape_debug()),
                help: "a name has 1 to 15 letters, digits or signs, without blanks, quotes, `/`, `$`, `\\` and `*`; a `*` at \
                       the end stands for whatever follows"
                    .to_owned(),
            })
            .collect()
    }

    fn deviations(&self, policy: &Policy, _settings: &TargetSettings) -> Vec<String> {
        let counts = policy.trusted_classes().any(|(_, l)| l.is_some_and(|l| l.concurrent.is_some()));
        let sentence = "nftables counts open connections from the last whole load of its table on";
        counts.then(|| sentence.to_owned()).into_iter().collect()
    }

    fn render(&self, job: &Job<'_>) -> Result<Vec<File>, RenderError> {
        render::files(job)
    }

    fn recognises(&self, text: &str) -> bool {
        read::recognises(text)
    }

    fn unprinted(&self, section: &Section) -> Option<Unprinted> {
        read::unprinted(section)
    }

    fn platform(&self) -> Platform {
        Platform::Linux
    }

    fn observations(&self) -> &'static [Observation] {
        load::OBSERVATIONS
    }

    fn read(&self, listing: &Listing) -> Result<Ruleset, ReadError> {
        read::listing(listing)
    }

    fn prefers(&self, live: &Listing) -> bool {
        load::prefers(live)
    }

    fn has_ours(&self, ruleset: &Ruleset) -> bool {
        ours::has_ours(ruleset)
    }

    fn print(&self, ruleset: &Ruleset) -> String {
        print::print(ruleset)
    }

    fn counters(&self, live: &Listing) -> Vec<Counter> {
        counters::counters(live)
    }

    fn snapshot(&self, live: &Listing) -> Result<Option<String>, ReadError> {
        load::snapshot(live)
    }

    fn loading(&self, live: &Listing, wanted: Wanted<'_>, _settings: &TargetSettings) -> Result<Loading, LoadError> {
        load::loading(live, wanted)
    }

    fn rehearsal(&self, _live: &Listing, snapshot: &str, _settings: &TargetSettings) -> Result<Vec<Step>, LoadError> {
        Ok(vec![load::rehearsal(snapshot)])
    }

    fn looked(&self, before: &Listing, looks: &[(Step, String)]) -> Option<Listing> {
        look::looked(before, looks)
    }

    fn replace_ours(&self, current: &Ruleset, rendered: &Ruleset) -> Ruleset {
        ours::replace_ours(current, rendered)
    }
}

/// Whether a pattern can name an interface, and can be written in a rule as it is. (The kernel's own rule, `dev_valid_name`,
/// is wider; what nft would take for something else is left out.)
fn is_interface(pattern: &Pattern) -> bool {
    let text = pattern.text();
    let sign = |b: u8| b.is_ascii_graphic() && !b"\"'/$\\*`{};".contains(&b);
    let length = text.len() + usize::from(pattern.is_wildcard());
    (1..=15).contains(&length) && !matches!(text, "." | "..") && text.bytes().all(sign) && (!text.is_empty())
}
