//! The command line as a whole.

use clap::{CommandFactory, Parser};

use super::{Command, Options};

/// Decide who may reach IMAPS, and be certain that the firewall says so
///
/// One profile names the trusted networks; harden993 checks it, renders it for nftables, iptables, pf or Windows Firewall,
/// and proves that the rules do exactly what the profile says before it prints them.
#[derive(Debug, Parser)]
#[command(
    name = "harden993",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
A first profile, what it decides, and its rules:
  harden993 init
  harden993 check
  harden993 explain 198.51.100.7
  harden993 render --target nftables

`harden993 COMMAND --help` tells more about a command.
Exit codes: 0 nothing to report, 1 a finding, 2 wrong input, 3 the host could not do it,
            4 changed and put back, 5 changed and not put back."
)]
pub struct Cli {
    /// The options that every command takes.
    #[command(flatten)]
    pub options: Options,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The definition of the command line, for parsing, completions and manual pages.
    pub fn definition() -> clap::Command {
        Self::command()
    }
}
