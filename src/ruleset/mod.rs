//! Ruleset: what a firewall holds, ours or anybody's, as stages of first-match rules; and its evaluation to an Access.
//!
//! A packet passes the *stages* of its path in order, and all of them must accept. A stage is a chain of first-match rules
//! with jumps and gotos, and a policy for what falls off its end. A stage may rewrite destination and port. Readers bring
//! every firewall into this one form: pf's last-match rules and Windows' Block-beats-Allow are only an order of rules.

mod diagram;
mod evaluate;
mod mark;
mod matching;
mod model;
#[cfg(test)]
mod tests;
mod walk;

pub use evaluate::{Evaluation, Evaluator, evaluate};
pub use mark::{Change, Mark, Mixture};
pub use matching::DESTINATION;
pub use model::{Chain, ChainId, CtState, Hook, Match, Origin, Ports, Rewrite, Rule, Ruleset, Stage, Then, Within};
