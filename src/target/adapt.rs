//! What a target makes of a policy: what it must refuse, and what it leaves out because the profile lets it.

use crate::policy::{Asked, Digest, Feature, Policy, TargetSettings};

use super::{Job, Target};

/// Why a policy cannot be rendered for a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The feature, if leaving it out is a way out.
    pub feature: Option<Feature>,
    /// What cannot be done, as a sentence without a full stop.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// A policy as a target will enforce it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adapted {
    /// The policy without what is left out, with the target's own interfaces.
    pub policy: Policy,
    /// Everything that is done otherwise than asked, one sentence each.
    pub deviations: Vec<String>,
}

impl Adapted {
    /// The policy to be rendered, for each family that the target has an output for.
    pub fn job<'a>(&'a self, digest: Digest, name: &'a str, settings: &'a TargetSettings) -> Job<'a> {
        Job { policy: &self.policy, digest, name, settings, deviations: &self.deviations, family: None }
    }
}

/// Brings a policy to what a target can do.
///
/// # Errors
/// Everything that the target cannot do, that was asked for, and that `degrade` does not name.
pub fn adapt(
    target: &dyn Target,
    policy: &Policy,
    asked: &Asked,
    settings: &TargetSettings,
) -> Result<Adapted, Vec<Refusal>> {
    let mut policy = policy.clone();
    if let Some(interfaces) = &settings.interfaces {
        policy = policy.with_interfaces(interfaces);
    }
    let mut refusals = target.refuses(&policy, settings);
    let mut deviations = Vec::new();
    // Leaving one feature out can make another pointless (no limits, no prefix), so each is asked for anew.
    let mut seen = Vec::new();
    while let Some(lack) = target.lacks(&policy, settings).into_iter().find(|l| !seen.contains(&l.feature)) {
        seen.push(lack.feature);
        let name = target.spec().name;
        // A prefix under limits always counts as asked for: a limit per /128 is none.
        let prefix = matches!(lack.feature, Feature::Ipv4Prefix | Feature::Ipv6Prefix);
        if (asked.contains(&lack.feature) || prefix) && !settings.degrade.contains(&lack.feature) {
            refusals.push(Refusal {
                feature: Some(lack.feature),
                message: format!("{name} cannot do `{}`: {}", lack.feature, lack.why),
                help: format!(
                    "leave it out of the profile, or write `degrade = [\"{}\"]` under `[target.{name}]`",
                    lack.feature
                ),
            });
            continue;
        }
        policy = policy.without(lack.feature);
        deviations.push(format!("left out: {} ({})", lack.feature, lack.why));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    deviations.extend(target.deviations(&policy, settings));
    Ok(Adapted { policy, deviations })
}
