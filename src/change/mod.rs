//! What changes: rulesets compared as addresses and as text, and the plan to bring the one to the other.

mod ask;
mod effect;
mod reach;
#[cfg(test)]
mod tests;
mod verify;

pub use ask::{AddrSetOrd, Answer, Asked, Scope, Unknown, ask};
pub use effect::{Effect, effect};
pub use reach::{Reach, reach};
pub use verify::{Verified, verify};
