//! pf: the packet filter of OpenBSD, FreeBSD and macOS. One anchor holds everything of ours.
//!
//! The rendering uses only what the parsers of all three accept and print alike, so that one reader and one text serve
//! them all; where their kernels differ (interface groups, `(self)`), [`Dialect`] says how.

mod capability;
mod label;
mod load;
mod observe;
mod print;
mod read;
mod render;
#[cfg(test)]
mod tests;

use crate::access::{Access, Question};
use crate::policy::{Policy, TargetSettings, TargetSpec};
use crate::ruleset::Ruleset;

use super::{
    File, Job, Lack, Listing, LoadError, Loading, Observation, Platform, ReadError, Refusal, RenderError, Target,
    Wanted,
};

/// The anchor that holds our rules and tables.
const ANCHOR: &str = "harden993";

/// The anchor's file, as `load anchor` in the main pf.conf names it.
const FILE: &str = "harden993";

/// A system whose pf the rendering is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dialect {
    OpenBsd,
    FreeBsd,
    MacOs,
}

impl Dialect {
    fn of(settings: &TargetSettings) -> Self {
        match settings.choice("dialect") {
            Some("freebsd") => Self::FreeBsd,
            Some("macos") => Self::MacOs,
            _ => Self::OpenBsd,
        }
    }

    /// The name of the system.
    fn system(self) -> &'static str {
        match self {
            Self::OpenBsd => "OpenBSD",
            Self::FreeBsd => "FreeBSD",
            Self::MacOs => "macOS",
        }
    }

    /// Whether `(self)` is the host's own addresses. In xnu (`bsd/net/pf_if.c`) it stands for an interface that has none,
    /// so that a rule with it never matches.
    fn knows_self(self) -> bool {
        self != Self::MacOs
    }
}

/// The pf target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pf;

impl Target for Pf {
    fn spec(&self) -> TargetSpec {
        TargetSpec { name: "pf", keys: &[("dialect", &["openbsd", "freebsd", "macos"])] }
    }

    fn lacks(&self, policy: &Policy, _settings: &TargetSettings) -> Vec<Lack> {
        capability::lacks(policy)
    }

    fn refuses(&self, policy: &Policy, settings: &TargetSettings) -> Vec<Refusal> {
        capability::refuses(policy, Dialect::of(settings))
    }

    fn deviations(&self, policy: &Policy, settings: &TargetSettings) -> Vec<String> {
        capability::deviations(policy, Dialect::of(settings))
    }

    fn expected(&self, policy: &Policy, settings: &TargetSettings, question: &Question) -> Access {
        capability::expected(policy, Dialect::of(settings), question)
    }

    fn render(&self, job: &Job<'_>) -> Result<Vec<File>, RenderError> {
        render::render(job)
    }

    fn recognises(&self, text: &str) -> bool {
        read::recognises(text)
    }

    fn platform(&self) -> Platform {
        Platform::Bsd
    }

    fn observations(&self) -> &'static [Observation] {
        observe::OBSERVATIONS
    }

    fn prefers(&self, _live: &Listing) -> bool {
        // It is the only one of its platform.
        true
    }

    fn capture_script(&self) -> Option<&'static str> {
        Some(observe::SCRIPT)
    }

    fn read(&self, listing: &Listing) -> Result<Ruleset, ReadError> {
        read::read(listing)
    }

    fn has_ours(&self, ruleset: &Ruleset) -> bool {
        print::has_ours(ruleset)
    }

    fn print(&self, ruleset: &Ruleset) -> String {
        print::print(ruleset)
    }

    fn snapshot(&self, live: &Listing) -> Result<Option<String>, ReadError> {
        load::snapshot(live)
    }

    fn loading(&self, live: &Listing, wanted: Wanted<'_>, _settings: &TargetSettings) -> Result<Loading, LoadError> {
        load::loading(live, wanted)
    }

    fn replace_ours(&self, current: &Ruleset, rendered: &Ruleset) -> Ruleset {
        print::replace_ours(current, rendered)
    }
}
