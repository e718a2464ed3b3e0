//! `rollback`: put back what the last apply replaced.

use clap::Args;
use serde::Serialize;

use crate::change::{Goal, Live, Order, Plan, Scope, Settled, State, behind, execute, of_host, refuse, target_of};
use crate::policy::TargetSettings;
use crate::target::Wanted;

use super::applying::{Change, EntryObject, hold, who};
use super::current::failure;
use super::effect::Why;
use super::restore::confirmed_scope;
use super::shape::Lists;
use super::{Context, Exit, Failure, Page, Report, Verb};

/// Put back what the last apply replaced
///
/// What waits to be confirmed is put back first of all. What is put back is confirmed, so that the next boot loads it.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 put back, 1 there is nothing to go back to.")]
pub struct Rollback {
    /// List the applies that can be gone back behind
    #[arg(long, conflicts_with = "to")]
    list: bool,

    /// Put back what this apply replaced, and with it everything after it
    #[arg(long, value_name = "ID")]
    to: Option<String>,

    #[command(flatten)]
    lists: Lists,
}

/// What was put back, or could be.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum RolledBack {
    /// The journal.
    List {
        /// Its entries, oldest first.
        entries: Vec<EntryObject>,
    },
    /// What was put back.
    Change(Box<Change>),
}

impl Verb for Rollback {
    type Report = RolledBack;

    fn run(self, cx: &Context<'_>) -> Result<RolledBack, Failure> {
        let state = State::new(cx.host, &cx.options.state_dir);
        if self.list {
            let entries = state.entries().map_err(failure)?;
            return Ok(RolledBack::List { entries: entries.iter().map(EntryObject::from).collect() });
        }
        let (held, settled) = hold(cx, &state, false)?;
        // What was never kept is taken back first: by now, or because it was found cut off.
        let taken_back = match &settled {
            Settled::Waits(pending) => Some(refuse(&held, pending).map_err(failure)?),
            Settled::Undone { id, .. } => state.entry(id).map_err(failure)?,
            Settled::Nothing | Settled::Kept(_) => None,
        };
        if let Some(entry) = taken_back.filter(|_| self.to.is_none()) {
            let target = target_of(&entry).map_err(failure)?;
            let mut change = Change::nothing(target.spec().name, Vec::new()).put_back(&entry);
            change.note(format!("the apply {} was taken back before it was confirmed", entry.id));
            return Ok(RolledBack::Change(Box::new(change)));
        }
        let (entry, confirms) = behind(&state, self.to.as_deref()).map_err(failure)?;
        let target = target_of(&entry).map_err(failure)?;
        let before = state.before(&entry.id).map_err(failure)?;
        let settings = TargetSettings::default();
        let scope = confirmed_scope(cx, &state)?.unwrap_or_else(|| Scope::of_port(993));
        let goal = Goal {
            target,
            wanted: before.as_deref().map_or(Wanted::Absent, Wanted::Snapshot),
            settings: &settings,
            scope: &scope,
        };
        let live = Live::read(cx.host, target.platform()).map_err(failure)?;
        let plan = Plan::of(live, &goal).map_err(failure)?;
        let found = of_host(target.platform(), &plan.after);
        let lists = self.lists;
        let change =
            Change::planned(target.spec().name, &plan, entry.before.digest.clone(), Why::default(), found, lists);
        if !plan.changed {
            state.set_confirmed(&confirms).map_err(failure)?;
            return Ok(RolledBack::Change(Box::new(change.kept())));
        }
        let order = Order {
            action: "rollback",
            by: who(cx),
            digest: entry.before.digest.clone(),
            closed: false,
            closure: None,
            confirms: Some(confirms),
            confirm: None,
            cut: None,
            ports: scope.ports.clone(),
            state_dir: cx.options.state_dir.clone(),
        };
        let applied = execute(&held, &plan, &goal, &order).map_err(failure)?;
        let mut change = change.applied(applied);
        change.note(format!("what the apply {} replaced is loaded again", entry.id));
        Ok(RolledBack::Change(Box::new(change)))
    }
}

impl Report for RolledBack {
    fn exit(&self) -> Exit {
        match self {
            Self::List { .. } => Exit::Clean,
            Self::Change(change) => change.exit(),
        }
    }

    fn page(self) -> Page {
        match self {
            Self::Change(change) => change.page(),
            Self::List { entries } => {
                let mut page = Page::new();
                if entries.is_empty() {
                    page.line("no apply was made yet");
                } else {
                    page.table(entries.iter().rev().map(EntryObject::row).collect());
                }
                page
            }
        }
    }
}
