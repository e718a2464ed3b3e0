//! Commands: one verb a file. Each has its arguments (clap), what it does (a few calls downward) and its report as a value.
//!
//! A command is added by its file and one line in the list below: the file holds a type of the line's name that implements
//! [`Verb`]. Nothing here prints; what a report looks like is decided in [`crate::report`].

mod asking;
mod cli;
mod current;
mod exit;
mod failure;
mod options;
mod page;
mod problems;
mod profile;
mod shape;
mod verb;

pub use cli::Cli;
pub use exit::Exit;
pub use failure::{Code, Failure};
pub use options::{Color, Format, Options};
pub use page::{Block, Line, Page, Role, Text};
pub use problems::Problems;
pub use verb::{Context, Note, Report, Shown, Verb};

use verb::verbs;

verbs! {
    init: Init,
    check: Check,
    explain: Explain,
    networks: Networks,
    render: Render,
    reach: Reach,
    capture: Capture,
    completions: Completions,
    man: Man,
}
