//! Targets: the firewalls that a policy can be rendered for. One folder each, with the same doors.
//!
//! Nothing outside a target's folder knows its syntax. A fifth target is one folder, its templates and one line in [`ALL`].

mod adapt;
mod iptables;
mod listing;
mod load;
mod nftables;
mod pf;
mod prove;
mod shared;
mod template;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use crate::access::{Access, Question};
use crate::net::Family;
use crate::policy::{Digest, Feature, Policy, TargetSettings, TargetSpec};
use crate::ruleset::Ruleset;

pub use adapt::{Adapted, Refusal, adapt};
pub use listing::{HEADING, Listing, Section, capture_script};
pub use load::{LoadError, Loading, Step, Wanted};
pub use prove::{Disagreement, prove};

/// Every target, in the order in which they are documented.
pub static ALL: &[&dyn Target] = &[&nftables::Nftables, &iptables::Iptables, &pf::Pf, &windows::Windows];

/// The target of a name.
pub fn by_name(name: &str) -> Option<&'static dyn Target> {
    ALL.iter().copied().find(|t| t.spec().name == name)
}

/// A feature of a policy that a target does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lack {
    /// The feature.
    pub feature: Feature,
    /// Why it cannot be done, as a sentence without a full stop.
    pub why: String,
}

/// A policy to be rendered, as the target is to enforce it.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The policy, without what the target leaves out.
    pub policy: &'a Policy,
    /// The digest of the policy that the profile asks for.
    pub digest: Digest,
    /// The profile's name: `[a-z][a-z0-9-]{0,31}`.
    pub name: &'a str,
    /// What the profile says to this target.
    pub settings: &'a TargetSettings,
    /// What is done otherwise than asked, each one sentence of fixed words: for the head comment.
    pub deviations: &'a [String],
    /// The one family to render, where the target has an output for each.
    pub family: Option<Family>,
}

/// Why a text is no listing, though it is written for a firewall.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unprinted {
    /// The line of the section that shows it, counted from 1.
    pub line: u32,
    /// What it is, as a sentence without a full stop.
    pub message: String,
    /// The way out.
    pub help: &'static str,
}

/// The version that head comments name.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A file that a target renders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// Its content.
    pub content: String,
}

/// Why a policy could not be rendered.
#[derive(Debug, Error)]
pub enum RenderError {
    /// A template does not fit what it is given: a defect of harden993.
    #[error("the template {template} failed: {message}")]
    Template {
        /// The template's path below `templates/`.
        template: &'static str,
        /// What tera says.
        message: String,
    },
    /// The policy is larger than the target can hold.
    #[error("{what}")]
    TooLarge {
        /// What is too large, and what the bound is.
        what: String,
    },
    /// The output, read back, does not say what the policy says: a defect of harden993.
    #[error("the rules, read back, do not do what the profile says: {0}")]
    Disproved(Box<Disagreement>),
    /// The output could not be read back: a defect of harden993.
    #[error("the rules could not be read back: {0}")]
    Unreadable(ReadError),
}

/// Why a text is no ruleset of a target.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("line {line}: {message}")]
pub struct ReadError {
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1 in characters; 0: the whole line.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl ReadError {
    /// An error about a whole line.
    pub fn line(line: u32, message: impl Into<String>) -> Self {
        Self { line, column: 0, message: message.into() }
    }
}

/// A firewall that policies are rendered for and rulesets are read from.
pub trait Target: Sync + fmt::Debug {
    /// Its name on the command line and in profiles, and the keys of its own that a profile may set.
    fn spec(&self) -> TargetSpec;

    /// The features that this policy uses and the target does not have. [`adapt()`] turns them into refusals or deviations.
    fn lacks(&self, policy: &Policy, settings: &TargetSettings) -> Vec<Lack>;

    /// What makes this policy impossible here and cannot be left out, each with the way out.
    fn refuses(&self, policy: &Policy, settings: &TargetSettings) -> Vec<Refusal>;

    /// What the target does otherwise than the decision table for this policy, whatever it is told: one sentence each, of
    /// fixed words.
    fn deviations(&self, policy: &Policy, settings: &TargetSettings) -> Vec<String>;

    /// What the target answers for a policy: the policy's own answer but for the deviations.
    fn expected(&self, policy: &Policy, _settings: &TargetSettings, question: &Question) -> Access {
        policy.answer(question)
    }

    /// Whether there is an output for each family by itself ([`Job::family`]).
    fn by_family(&self) -> bool {
        false
    }

    /// The files of a policy. Use [`render()`], which proves them.
    fn render(&self, job: &Job<'_>) -> Result<Vec<File>, RenderError>;

    /// Whether a text looks like a listing, a rendering or a dump of this firewall.
    fn recognises(&self, text: &str) -> bool;

    /// What shows that a section is written for this firewall, but is nothing that it prints: only the firewall itself could
    /// tell what it means. None for everything else.
    fn unprinted(&self, _section: &Section) -> Option<Unprinted> {
        None
    }

    /// The system on which it runs: the rules of all targets of one platform count together there.
    fn platform(&self) -> Platform;

    /// The commands whose outputs [`Self::read`] takes from a live host, in order. A capture is these outputs, each headed
    /// by its command.
    fn observations(&self) -> &'static [Observation];

    /// Reads listings of a host (or one rendered file) into the one model. What is not modelled becomes unknown; only what
    /// is truncated or no listing at all is an error.
    /// Sections that are another target's are passed over; without any of its own the ruleset is empty.
    fn read(&self, listing: &Listing) -> Result<Ruleset, ReadError>;

    /// Whether a host with this listing is one on which rules are better loaded through this target than through the next
    /// one of its platform.
    fn prefers(&self, live: &Listing) -> bool;

    /// The script that takes the observations on a host without harden993, where it is more than running them one after
    /// the other.
    fn capture_script(&self) -> Option<&'static str> {
        None
    }

    /// In which of the firewall's variants a listing holds something of ours, where there are such and it is told.
    fn place(&self, _listing: &Listing) -> Result<Option<String>, ReadError> {
        Ok(None)
    }

    /// The variant of the firewall that the profile asks for, if it does.
    fn asked_place(&self, _settings: &TargetSettings) -> Option<String> {
        None
    }

    /// Whether the ruleset holds anything of ours.
    fn has_ours(&self, ruleset: &Ruleset) -> bool;

    /// What the ruleset holds of ours, as text to be compared: the printed form of what is read, so that order, counters,
    /// handles, merged ranges and spellings of versions never show; networks stand one a line. Empty if nothing is ours.
    fn print(&self, ruleset: &Ruleset) -> String;

    /// What our own objects have counted, as the listing has it; nothing where the firewall does not count.
    fn counters(&self, _live: &Listing) -> Vec<Counter> {
        Vec::new()
    }

    /// What a live listing holds of ours as text that [`Self::loading`] can put back; none if nothing is ours.
    fn snapshot(&self, live: &Listing) -> Result<Option<String>, ReadError>;

    /// The commands by which the firewall checks, without changing anything, that a snapshot of this live listing would load
    /// again as a whole.
    fn rehearsal(&self, live: &Listing, snapshot: &str, settings: &TargetSettings) -> Result<Vec<Step>, LoadError> {
        Ok(self.loading(live, Wanted::Anew(snapshot), settings)?.check)
    }

    /// How to bring a host with this live listing to what is wanted: a small change as a small change, else as a whole.
    /// Nothing of anybody else's is touched.
    fn loading(&self, live: &Listing, wanted: Wanted<'_>, settings: &TargetSettings) -> Result<Loading, LoadError>;

    /// Our own part of a host after a small change: that of the listing before it, with what [`Loading::looks`] printed in
    /// its place. None if it cannot be told.
    fn looked(&self, _before: &Listing, _looks: &[(Step, String)]) -> Option<Listing> {
        None
    }

    /// A host's ruleset as it would be if ours were replaced by the rendering (an empty one: removed).
    fn replace_ours(&self, current: &Ruleset, rendered: &Ruleset) -> Ruleset;
}

/// Everything that a host of a platform has loaded, read from one listing: the rules of every target there count.
///
/// # Errors
/// The first section that is truncated or no listing at all.
pub fn read_host(platform: Platform, listing: &Listing) -> Result<HostRules, ReadError> {
    let mut all = Ruleset::default();
    let mut digests = BTreeMap::new();
    for target in ALL.iter().filter(|t| t.platform() == platform) {
        let read = target.read(listing)?;
        if let Some(digest) = read.digest.clone() {
            digests.insert(target.spec().name, digest);
        }
        all.join(read);
    }
    shared::count_once(&mut all);
    Ok(HostRules { ruleset: all, digests })
}

/// What a host has loaded.
#[derive(Clone, Debug, Default)]
pub struct HostRules {
    /// The rules of every target.
    pub ruleset: Ruleset,
    /// The policy digest that our objects carry, for each target that has any, by its name.
    pub digests: BTreeMap<&'static str, String>,
}

/// What one of our counters has counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    /// `accepted`, `refused`, `blocked`, `limited`.
    pub name: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A family of operating systems.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Platform {
    /// Linux: nf_tables and the legacy tables.
    Linux,
    /// OpenBSD, FreeBSD, macOS.
    Bsd,
    /// Windows.
    Windows,
}

/// A command that shows what a host has loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    /// The program.
    pub program: &'static str,
    /// Its arguments.
    pub args: &'static [&'static str],
    /// Whether a host may lack the program, or refuse it for want of kernel support, and is read without it.
    pub optional: bool,
    /// Programs that show the same: it is not run where the host has all of them.
    pub unless: &'static [&'static str],
}

impl Observation {
    /// Whether it shows nothing that was not shown already on a host that has these programs.
    pub fn is_spare(&self, has: &BTreeSet<&str>) -> bool {
        !self.unless.is_empty() && self.unless.iter().all(|p| has.contains(p))
    }

    /// The command line that heads the section.
    pub fn command(&self) -> String {
        std::iter::once(self.program).chain(self.args.iter().copied()).collect::<Vec<_>>().join(" ")
    }
}

/// Renders a policy and proves, by reading the output back, that it does what the policy says.
pub fn render(target: &dyn Target, job: &Job<'_>) -> Result<Vec<File>, RenderError> {
    let mut files = target.render(job)?;
    prove(target, job, &mut files)?;
    Ok(files)
}
