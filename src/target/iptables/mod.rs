//! iptables: chains of ours in the table filter of both families, and one jump to them at the top of INPUT.

mod counters;
mod delta;
mod load;
mod look;
mod ours;
mod rates;
mod read;
mod render;
mod tree;

#[cfg(test)]
mod tests;

use crate::access::Pattern;
use crate::policy::{Feature, Forwarded, Limit, Policy, TargetSettings, TargetSpec};
use crate::ruleset::Ruleset;

use super::{
    Counter, File, Job, Lack, Listing, LoadError, Loading, Observation, Platform, ReadError, Refusal, RenderError,
    Step, Target, Wanted,
};

/// The packet filter of Linux, spoken to with `iptables` and `ip6tables`, in either of their variants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Iptables;

/// The longest name of an interface (`IFNAMSIZ` less the zero at its end).
const INTERFACE: usize = 15;

/// The target of what is let in: `accept = "return"` leaves the last word to the rules behind our jump.
fn take(settings: &TargetSettings) -> &'static str {
    if settings.choice("accept") == Some("return") { "RETURN" } else { "ACCEPT" }
}

/// The commands that show everything. The plain names are one of the two variants, and are asked where a host does not
/// tell them apart.
static OBSERVATIONS: &[Observation] = &[
    Observation { program: "iptables-nft-save", args: &["-c"], optional: true, unless: &[] },
    Observation { program: "iptables-legacy-save", args: &["-c"], optional: true, unless: &[] },
    Observation {
        program: "iptables-save",
        args: &["-c"],
        optional: true,
        unless: &["iptables-nft-save", "iptables-legacy-save"],
    },
    Observation { program: "ip6tables-nft-save", args: &["-c"], optional: true, unless: &[] },
    Observation { program: "ip6tables-legacy-save", args: &["-c"], optional: true, unless: &[] },
    Observation {
        program: "ip6tables-save",
        args: &["-c"],
        optional: true,
        unless: &["ip6tables-nft-save", "ip6tables-legacy-save"],
    },
    Observation { program: "ipset", args: &["save"], optional: true, unless: &[] },
];

impl Target for Iptables {
    fn by_family(&self) -> bool {
        true
    }

    fn spec(&self) -> TargetSpec {
        TargetSpec {
            name: "iptables",
            keys: &[("accept", &["accept", "return"]), ("variant", &["auto", "nft", "legacy"])],
        }
    }

    fn lacks(&self, policy: &Policy, _settings: &TargetSettings) -> Vec<Lack> {
        let mut out = Vec::new();
        let limits: Vec<Limit> = policy.trusted_classes().filter_map(|(_, l)| l).collect();
        let buckets = || limits.iter().filter_map(|l| l.rate);
        if let Some(bucket) = buckets().find(|b| rates::meter_rate(b.rate).is_none()) {
            out.push(Lack {
                feature: Feature::Limits,
                why: format!("hashlimit counts in millionths of a second and cannot keep {}", bucket.rate),
            });
        }
        let burst =
            |b: &crate::access::Bucket| b.burst == 0 || b.burst > rates::HASHLIMIT_BURST || rates::expire(*b).is_none();
        if let Some(bucket) = buckets().find(burst) {
            out.push(Lack {
                feature: Feature::Burst,
                why: format!(
                    "hashlimit takes a burst of at most {}, and one that refills within 24 days; this one is {bucket}",
                    rates::HASHLIMIT_BURST
                ),
            });
        }
        if let Some(bucket) = policy.log.and_then(|l| l.rate)
            && rates::log_rate(bucket).is_none()
        {
            out.push(Lack {
                feature: Feature::LogRate,
                why: format!(
                    "the limit match counts in 1/10000 of a second, up to a burst of 10000 that refills within a day, and \
                     cannot keep {bucket}"
                ),
            });
        }
        out
    }

    fn refuses(&self, policy: &Policy, _settings: &TargetSettings) -> Vec<Refusal> {
        let patterns = policy.interfaces.iter().chain(policy.zones.iter().flat_map(|z| &z.patterns));
        let mut out: Vec<Refusal> = patterns
            .filter_map(|p| {
                let why = unspeakable(p)?;
                Some(Refusal {
                    feature: None,
                    message: format!("iptables cannot name the interface `{p}`: {why}"),
                    help: "rename the interface, or use the nftables target".to_owned(),
                })
            })
            .collect();
        out.dedup();
        out
    }

    fn deviations(&self, policy: &Policy, settings: &TargetSettings) -> Vec<String> {
        let mut out = Vec::new();
        let limits: Vec<Limit> = policy.trusted_classes().filter_map(|(_, l)| l).collect();
        if limits.iter().any(|l| l.concurrent.is_some()) {
            out.push(
                "open connections are counted from the last load of the chain of their limit on (the legacy variant: from the \
                 last change of the filter table, by whomever), and not where others exempt them from connection tracking"
                    .to_owned(),
            );
        }
        if policy.forwarded != Forwarded::No && limits.iter().any(|l| l.rate.is_some()) {
            out.push("new forwarded connections are counted per translated port".to_owned());
        }
        if take(settings) == "RETURN" {
            out.push("what is let in goes on to the rules behind the jump, which can still refuse it".to_owned());
        }
        out
    }

    fn render(&self, job: &Job<'_>) -> Result<Vec<File>, RenderError> {
        render::files(job)
    }

    fn recognises(&self, text: &str) -> bool {
        read::recognises(text)
    }

    fn platform(&self) -> Platform {
        Platform::Linux
    }

    fn observations(&self) -> &'static [Observation] {
        OBSERVATIONS
    }

    fn read(&self, listing: &Listing) -> Result<Ruleset, ReadError> {
        read::read(listing)
    }

    fn prefers(&self, _live: &Listing) -> bool {
        // It is the last one of its platform to be asked.
        true
    }

    fn place(&self, listing: &Listing) -> Result<Option<String>, ReadError> {
        load::place(listing)
    }

    fn asked_place(&self, settings: &TargetSettings) -> Option<String> {
        load::asked(settings).map(|v| v.name().to_owned())
    }

    fn has_ours(&self, ruleset: &Ruleset) -> bool {
        ours::chains(ruleset).next().is_some()
    }

    fn print(&self, ruleset: &Ruleset) -> String {
        ours::print(ruleset)
    }

    fn counters(&self, live: &Listing) -> Vec<Counter> {
        counters::counters(live)
    }

    fn snapshot(&self, live: &Listing) -> Result<Option<String>, ReadError> {
        load::snapshot(live)
    }

    fn loading(&self, live: &Listing, wanted: Wanted<'_>, settings: &TargetSettings) -> Result<Loading, LoadError> {
        load::loading(live, wanted, settings)
    }

    fn rehearsal(&self, _live: &Listing, snapshot: &str, _settings: &TargetSettings) -> Result<Vec<Step>, LoadError> {
        load::rehearsal(snapshot)
    }

    fn looked(&self, before: &Listing, looks: &[(Step, String)]) -> Option<Listing> {
        look::looked(before, looks)
    }

    fn replace_ours(&self, current: &Ruleset, rendered: &Ruleset) -> Ruleset {
        ours::replace(current, rendered)
    }
}

/// Why iptables cannot name an interface.
fn unspeakable(pattern: &Pattern) -> Option<&'static str> {
    let text = pattern.text();
    if text.contains('+') {
        Some("a `+` stands for any ending there")
    } else if text.len() + usize::from(pattern.is_wildcard()) > INTERFACE {
        Some("it takes 15 characters")
    } else if text.starts_with('-') || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b)) {
        Some("only letters, digits and . _ : @ - are safe in its rules")
    } else {
        None
    }
}
