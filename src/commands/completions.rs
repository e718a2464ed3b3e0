//! `completions`: the script by which a shell completes harden993's commands and options.

use clap::Args;
use clap_complete::Shell;
use serde::Serialize;

use super::{Context, Exit, Failure, Page, Report, Verb};

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  harden993 completions bash > /etc/bash_completion.d/harden993")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Serialize)]
pub struct CompletionScript {
    shell: String,
    script: String,
}

impl Verb for Completions {
    type Report = CompletionScript;

    fn run(self, _: &Context<'_>) -> Result<CompletionScript, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::definition(), "harden993", &mut script);
        Ok(CompletionScript {
            shell: self.shell.to_string(),
            script: String::from_utf8_lossy(&script).into_owned(),
        })
    }
}

impl Report for CompletionScript {
    fn exit(&self) -> Exit {
        Exit::Clean
    }

    fn page(self) -> Page {
        Page::verbatim(self.script)
    }
}
