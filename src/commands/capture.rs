//! `capture`: this host's live state in the form that `--current` reads.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::change::observe;
use crate::target::{ALL, Platform};

use super::current::{failure, platform};
use super::{Code, Context, Exit, Failure, Page, Report, Verb};

/// Print this host's live rules in the form that `--current` reads
///
/// Sections, each headed by the command that printed it. Take it to another machine to ask `diff`, `verify` or `reach` there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  harden993 capture > mail1.capture\n  \
    harden993 capture --script linux | ssh mail2 sh > mail2.capture\n  harden993 reach --current mail2.capture")]
pub struct Capture {
    /// Print the script that does it on a host without harden993
    #[arg(long, value_name = "SYSTEM", value_enum)]
    script: Option<System>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum System {
    /// nftables and iptables, for sh
    Linux,
    /// pf, for sh
    Bsd,
    /// Windows Firewall, for PowerShell
    Windows,
}

/// A capture, or the script that makes one.
#[derive(Debug, Serialize)]
pub struct Captured {
    content: String,
}

impl Verb for Capture {
    type Report = Captured;

    fn run(self, cx: &Context<'_>) -> Result<Captured, Failure> {
        if let Some(system) = self.script {
            let platform = match system {
                System::Linux => Platform::Linux,
                System::Bsd => Platform::Bsd,
                System::Windows => Platform::Windows,
            };
            let content = script(platform).ok_or_else(|| Failure::wrong(Code::Defect, "no target of that system is known"))?;
            return Ok(Captured { content });
        }
        let listing = observe(cx.host, platform(cx)).map_err(failure)?;
        Ok(Captured { content: listing.to_text() })
    }
}

/// The script of a platform: its targets' own where they have one, else one command after the other.
fn script(platform: Platform) -> Option<String> {
    let targets: Vec<_> = ALL.iter().filter(|t| t.platform() == platform).collect();
    if let Some(own) = targets.iter().find_map(|t| t.capture_script()) {
        return Some(own.to_owned());
    }
    let observations: Vec<_> = targets.iter().flat_map(|t| t.observations()).collect();
    (!observations.is_empty()).then(|| crate::target::capture_script(&observations))
}

impl Report for Captured {
    fn exit(&self) -> Exit {
        Exit::Clean
    }

    fn page(self) -> Page {
        Page::verbatim(self.content)
    }
}
