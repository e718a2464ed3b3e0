//! Commands: one verb a file. Each has its arguments (clap), what it does (a few calls downward) and its report as a value.
//!
//! A command is added by its file and one line in the list below: the file holds a type of the line's name that implements
//! [`Verb`]. Nothing here prints; what a report looks like is decided in [`crate::report`].

mod applying;
mod asking;
mod cli;
mod countdown;
mod current;
mod cut;
mod effect;
mod exit;
mod failure;
mod markdown;
mod options;
mod page;
mod problems;
mod profile;
mod proposal;
mod shape;
mod verb;
mod wanted;

pub use cli::Cli;
pub use exit::Exit;
pub use failure::{Code, Failure};
pub use options::{Color, Format, Options};
pub use page::{Block, Line, Page, Role, Text, is_hidden};
pub use problems::Problems;
pub use verb::{Context, Note, Report, Shown, Verb};

use verb::verbs;

verbs! {
    init: Init,
    check: Check,
    explain: Explain,
    networks: Networks,
    render: Render,
    diff: Diff,
    apply: Apply,
    confirm: Confirm,
    rollback: Rollback,
    remove: Remove,
    restore: Restore,
    verify: Verify,
    status: Status,
    reach: Reach,
    capture: Capture,
    schema: Schema,
    completions: Completions,
    man: Man,
    guard: Guard,
}
