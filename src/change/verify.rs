//! Whether a ruleset does what a policy says, for every address, other people's rules included.

use crate::access::{Path, Question};
use crate::net::AddrSet;
use crate::policy::{Forwarded, Policy};
use crate::ruleset::Ruleset;

use super::{Asked, Scope, Unknown, ask};

/// Where a ruleset and a policy differ, for one question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// What was asked.
    pub asked: Asked,
    /// Trusted, but refused.
    pub missing: AddrSet,
    /// Not trusted, but reachable.
    pub excess: AddrSet,
    /// Of whom it cannot be told, and why.
    pub unknown: Vec<Unknown>,
}

impl Verified {
    /// Whether the ruleset surely does what the policy says here.
    pub fn holds(&self) -> bool {
        self.missing.is_empty() && self.excess.is_empty() && self.unknown.is_empty()
    }
}

/// Asks a ruleset everything that a policy guards, and compares. What a rule sends to another host is asked about as
/// forwarded; where the policy does not cover that, whoever is not trusted and comes through is excess all the same.
pub fn verify(policy: &Policy, ruleset: &Ruleset, scope: &Scope) -> Vec<Verified> {
    let answers = ask(&[ruleset], scope);
    let verified = answers.into_iter().filter_map(|answer| {
        let access = answer.accesses.first()?;
        let wanted = policy.answer(&as_policy_asks(policy, &answer.question));
        let (trusted, refused) = (wanted.reachable(), wanted.refused());
        Some(Verified {
            missing: access.refused().intersect(&trusted).intersect(&answer.sources),
            excess: access.reachable().intersect(&refused).intersect(&answer.sources),
            unknown: Unknown::of(access, ruleset, &answer.sources),
            asked: answer.asked,
        })
    });
    verified.collect()
}

/// The question as the policy is to answer it: a way that the policy does not guard is held against the way that it does.
fn as_policy_asks(policy: &Policy, q: &Question) -> Question {
    let routed = matches!((&policy.forwarded, &q.to), (Forwarded::Routed(nets), Some(to)) if nets.contains_all(&to.0));
    let path = if routed && q.path == Path::Forwarded { Path::Forwarded } else { Path::Input };
    Question { path, ..q.clone() }
}
