//! What changes: rulesets compared as addresses and as text, and a host brought from the one to the other with a way back.

mod apply;
mod ask;
mod effect;
mod error;
mod finding;
mod guard;
mod live;
mod plan;
mod reach;
mod settle;
mod state;
#[cfg(test)]
mod tests;
mod text;
mod verify;

pub use apply::{Applied, Order, check, execute, execute_unrecorded, keep_as_is, remember};
pub use ask::{AddrSetOrd, Answer, Asked, Scope, Unknown, ask};
pub use effect::{Effect, effect};
pub use error::ChangeError;
pub use finding::{Finding, Severity, caller, findings, holders, of_host};
pub use guard::{Watch, is_right, watch};
pub use live::{Live, observe};
pub use plan::{Goal, Plan, is_loaded, side};
pub use reach::{Reach, reach};
pub use settle::{GRACE, Settled, Undone, behind, confirm, left_behind, refuse, settle, target_of};
pub use state::{Closure, Confirmed, Entry, Held, KEPT, Pending, Seen, Side, Stage, State};
pub use text::unified;
pub use verify::{Verified, verify};
