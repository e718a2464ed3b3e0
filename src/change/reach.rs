//! Who can open a connection under a ruleset, whoever wrote it.

use crate::net::AddrSet;
use crate::ruleset::Ruleset;

use super::{Asked, Scope, Unknown, ask};

/// Who can open a connection: every source is in exactly one of `reachable`, `refused` and `unknown`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// What was asked.
    pub asked: Asked,
    /// Who surely can, within limits or not.
    pub reachable: AddrSet,
    /// Those of them that stand under limits.
    pub limited: AddrSet,
    /// Who surely cannot.
    pub refused: AddrSet,
    /// Of whom it cannot be told, and why.
    pub unknown: Vec<Unknown>,
}

/// Asks a ruleset who can open a connection.
pub fn reach(ruleset: &Ruleset, scope: &Scope) -> Vec<Reach> {
    let answers = ask(&[ruleset], scope);
    let reach = answers.into_iter().filter_map(|answer| {
        let access = answer.accesses.first()?;
        let within = |set: AddrSet| set.intersect(&answer.sources);
        Some(Reach {
            reachable: within(access.reachable()),
            limited: within(access.limited()),
            refused: within(access.refused()),
            unknown: Unknown::of(access, ruleset, &answer.sources),
            asked: answer.asked,
        })
    });
    reach.collect()
}
