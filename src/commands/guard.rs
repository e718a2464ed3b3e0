//! `guard`: the guardian of an apply that waits. Started by `apply`, not by people.

use clap::Args;
use serde::Serialize;

use crate::change::{State, Watch, watch};
use crate::host::Run;

use super::current::failure;
use super::{Context, Exit, Failure, Page, Report, Verb};

/// Put the old rules back unless somebody confirms (started by `apply --confirm`)
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct Guard {
    /// The apply that waits
    #[arg(value_name = "ID")]
    id: String,
    /// How long it may wait
    #[arg(long, value_name = "SECONDS")]
    seconds: u32,
}

/// What the guardian came to.
#[derive(Debug, Serialize)]
pub struct Guarded {
    id: String,
    put_back: bool,
}

impl Verb for Guard {
    type Report = Guarded;

    fn run(self, cx: &Context<'_>) -> Result<Guarded, Failure> {
        cx.host.leave_session()?;
        let state = State::new(cx.host, &cx.options.state_dir);
        let watched = watch(cx.host, &state, &self.id, self.seconds).map_err(failure);
        // Nobody sees what a process without a terminal prints; the system's log is where administrators look.
        match &watched {
            Ok(Watch::PutBack) => record(cx, &format!("nobody confirmed the apply {}: put back", self.id)),
            Ok(Watch::NotNeeded) => {}
            Err(e) => record(cx, &format!("the apply {} could not be put back: {}", self.id, e.message)),
        }
        Ok(Guarded { put_back: watched? == Watch::PutBack, id: self.id })
    }
}

/// Writes a line to the system's log. A host without one has nowhere to write it.
pub(super) fn record(cx: &Context<'_>, line: &str) {
    if let Err(e) = cx.host.run(&Run::new("logger", ["-t", "harden993", "--", line])) {
        cx.detail(e.to_string());
    }
}

impl Report for Guarded {
    fn exit(&self) -> Exit {
        Exit::Clean
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        page.line(if self.put_back {
            format!("nobody confirmed the apply {} in time: the rules from before it are loaded again", self.id)
        } else {
            format!("the apply {} needs no guardian any more", self.id)
        });
        page
    }
}
