//! Windows Defender Firewall: a PowerShell script in, a JSON capture of the rules out.
//!
//! There every Block rule wins over every Allow rule, and what no rule matches is up to the network profile. So who is
//! trusted is allowed, and the exact complement is blocked.

mod address;
mod capture;
mod chunk;
mod literal;
mod load;
mod lower;
mod ours;
mod read;
mod render;
mod script;

use crate::access::{Access, Outcome, Question, Refuse, Verdict};
use crate::policy::{Class, Feature, Forwarded, Policy, TargetSettings, TargetSpec};
use crate::ruleset::Ruleset;

use super::{
    File, Job, Lack, Listing, LoadError, Loading, Observation, Platform, ReadError, Refusal, RenderError, Target,
    Wanted,
};

/// The Windows target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows;

/// The group that all of our rules are in, and nothing else is.
const GROUP: &str = "harden993";

/// What a rule does with what it matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Action {
    /// Lets in, even against a Block: only peers that `IPsec` has authenticated.
    Bypass,
    /// Keeps out.
    Block,
    /// Lets in what nothing blocks.
    Allow,
}

impl Action {
    /// The word that the cmdlets know it by. (A bypass is an Allow with `-OverrideBlockRules`.)
    fn word(self) -> &'static str {
        match self {
            Self::Bypass | Self::Allow => "Allow",
            Self::Block => "Block",
        }
    }

    /// What it is called in reports.
    fn kind(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Block => "block",
            Self::Allow => "allow",
        }
    }
}

impl Target for Windows {
    fn spec(&self) -> TargetSpec {
        TargetSpec { name: "windows", keys: &[] }
    }

    fn lacks(&self, policy: &Policy, _settings: &TargetSettings) -> Vec<Lack> {
        let lack = |feature, why: &str| Lack { feature, why: why.to_owned() };
        let mut out = Vec::new();
        if policy.has_limits() {
            out.push(lack(Feature::Limits, "Windows Firewall counts neither connections nor their rate"));
        }
        if policy.log.is_some() {
            out.push(lack(Feature::Log, "Windows Firewall logs by network profile, not by rule"));
        }
        if policy.action == Refuse::Reset {
            out.push(lack(Feature::Reject, "Windows Firewall only drops"));
        }
        if policy.forwarded != Forwarded::No {
            out.push(lack(Feature::Forwarded, "Windows Firewall filters this host's own traffic alone"));
        }
        out
    }

    fn refuses(&self, policy: &Policy, _settings: &TargetSettings) -> Vec<Refusal> {
        let refusal = |message: String, help: &str| Refusal { feature: None, message, help: help.to_owned() };
        let mut out = Vec::new();
        if policy.zones.len() > 1 {
            out.push(refusal(
                "windows cannot do `via`: its rules name no interface that a source must come by".to_owned(),
                "write a profile of its own for the Windows host, without `via`",
            ));
        }
        for pattern in &policy.interfaces {
            // The cmdlets take an alias as a pattern, and resolve it when the rule is created.
            let odd = |c: char| c.is_control() || "*?[]`".contains(c);
            if pattern.is_wildcard() || pattern.text().is_empty() || pattern.text().contains(odd) {
                out.push(refusal(
                    format!("windows cannot guard the interfaces `{}`: a rule there holds the interfaces that exist when it is created", pattern.to_string().escape_debug()),
                    "name each interface by its alias under `[target.windows] interfaces`, or leave `interfaces` out",
                ));
            }
        }
        out
    }

    fn deviations(&self, policy: &Policy, _settings: &TargetSettings) -> Vec<String> {
        render::deviations(policy)
    }

    /// The rules are asked about every packet, whatever is known of its connection; nothing is limited or logged.
    fn expected(&self, policy: &Policy, _settings: &TargetSettings, question: &Question) -> Access {
        policy.answer_with(question, |class, _, _| match class {
            Class::Trusted(_) => Verdict::Accept.into(),
            Class::Refused | Class::Blocked => Outcome { verdict: Verdict::Refuse(Refuse::Drop), log: None, by: None },
        })
    }

    fn render(&self, job: &Job<'_>) -> Result<Vec<File>, RenderError> {
        render::render(job)
    }

    fn recognises(&self, text: &str) -> bool {
        read::recognises(text)
    }

    fn read(&self, listing: &Listing) -> Result<Ruleset, ReadError> {
        read::read(listing)
    }

    fn platform(&self) -> Platform {
        Platform::Windows
    }

    fn observations(&self) -> &'static [Observation] {
        load::observations()
    }

    fn prefers(&self, _live: &Listing) -> bool {
        // There is no other one of its platform.
        true
    }

    fn capture_script(&self) -> Option<&'static str> {
        Some(load::CAPTURE)
    }

    fn has_ours(&self, ruleset: &Ruleset) -> bool {
        ours::has_ours(ruleset)
    }

    fn print(&self, ruleset: &Ruleset) -> String {
        ours::print(ruleset)
    }

    fn snapshot(&self, live: &Listing) -> Result<Option<String>, ReadError> {
        load::snapshot(live)
    }

    fn loading(&self, _live: &Listing, wanted: Wanted<'_>, _settings: &TargetSettings) -> Result<Loading, LoadError> {
        load::loading(wanted)
    }

    fn replace_ours(&self, current: &Ruleset, rendered: &Ruleset) -> Ruleset {
        ours::replace_ours(current, rendered)
    }
}
