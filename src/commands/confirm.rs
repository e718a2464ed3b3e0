//! `confirm`: keep what `apply --confirm` loaded.

use clap::Args;
use serde::Serialize;

use crate::change::{ChangeError, Settled, State, confirm};

use super::applying::hold;
use super::current::failure;
use super::cut::{Cut, cut_at_last};
use super::{Context, Exit, Failure, Line, Page, Report, Role, Verb};

/// Keep what `apply --confirm` loaded
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 kept, 1 nothing waits.")]
pub struct Confirm {
    /// The token that the apply printed, so that a late script cannot confirm somebody else's apply
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

/// What was confirmed.
#[derive(Debug, Default, Serialize)]
pub struct Confirmation {
    id: Option<String>,
    confirmed: bool,
    rolled_back: bool,
    waiting: Option<Waiting>,
    #[serde(skip)]
    cut: Option<Cut>,
    #[serde(skip)]
    why: Option<String>,
}

#[derive(Debug, Serialize)]
struct Waiting {
    id: String,
    confirm_by: Option<String>,
}

impl Verb for Confirm {
    type Report = Confirmation;

    fn run(self, cx: &Context<'_>) -> Result<Confirmation, Failure> {
        let state = State::new(cx.host, &cx.options.state_dir);
        let (held, settled) = hold(cx, &state, false)?;
        let (entry, pending) = match confirm(&held, self.token.as_deref()) {
            Ok(kept) => kept,
            Err(ChangeError::NothingThere(why)) => {
                let last = state.entries().map_err(failure)?.pop();
                let waiting = match settled {
                    Settled::Waits(p) => Some(Waiting { id: p.id, confirm_by: p.confirm_by }),
                    _ => None,
                };
                return Ok(Confirmation {
                    rolled_back: last.as_ref().is_some_and(|e| e.stage == crate::change::Stage::Restored),
                    id: last.map(|e| e.id),
                    waiting,
                    why: Some(why),
                    ..Confirmation::default()
                });
            }
            Err(e) => return Err(failure(e)),
        };
        // Others may use the lock while connections are ended.
        drop(held);
        let cut = cut_at_last(cx, &state, &entry, &pending);
        Ok(Confirmation { id: Some(entry.id), confirmed: true, cut, ..Confirmation::default() })
    }
}

impl Report for Confirmation {
    fn exit(&self) -> Exit {
        Exit::finding(!self.confirmed)
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        let id = self.id.unwrap_or_default();
        if self.confirmed {
            page.line(Line::new().with(Role::Good, "kept").plain(format!(": the apply {id} is confirmed")));
        } else {
            page.line(Line::new().with(Role::Bad, "not confirmed").plain(format!(": {}", self.why.unwrap_or_default())));
            if self.rolled_back {
                page.line(format!("the last apply, {id}, has been put back"));
            }
        }
        if let Some(cut) = self.cut {
            page.line(cut.to_string());
        }
        page
    }
}
