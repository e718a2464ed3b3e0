//! The options that every command takes, before its name or after it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// In which form a report is printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Human,
    /// One object for programs, with stable keys
    Json,
    /// For a comment on a pull request (`diff`)
    Markdown,
}

/// When there is colour.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The options that every command takes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Options {
    /// The profile: a TOML file, or `-` for standard input
    ///
    /// Without it: the file that `HARDEN993_PROFILE` names, else `./harden993.toml`, else `/etc/harden993/profile.toml`.
    #[arg(long, short = 'p', global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub profile: Option<PathBuf>,

    /// The form of the report
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human", value_enum)]
    pub format: Format,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", value_enum)]
    pub color: Color,

    /// Say nothing but findings and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say also what was read and decided on the way
    #[arg(long, short, global = true)]
    pub verbose: bool,

    /// The folder for whatever keeps state
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/harden993",
          value_hint = clap::ValueHint::DirPath)]
    pub state_dir: PathBuf,
}
