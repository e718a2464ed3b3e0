//! Question and Access: what can be asked about a packet, and the answer for every source at once.

mod answer;
mod question;
mod verdict;

pub use answer::{Access, Difference, Meetings, OutcomeId};
pub use question::{Destination, DestinationSet, Interface, Packet, Path, Pattern, Question};
pub use verdict::{Bucket, Limits, Log, LogClass, Outcome, Per, Rate, Refuse, RuleId, Verdict};
