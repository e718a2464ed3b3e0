//! What is left over from earlier commands, settled: a load that was cut off, a confirmation, going back.

use std::time::Duration;

use crate::host::Host;
use crate::target::{self, Target};

use super::ChangeError;
use super::apply::{await_confirmation, keep, undo};
use super::guard;
use super::plan::side;
use super::state::{Confirmed, Entry, Held, Pending, Stage, State};

/// What became of a load that was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settled {
    /// Nothing was cut off.
    Nothing,
    /// The load was complete, and is kept.
    Kept(String),
    /// The load was complete, and waits for its confirmation.
    Waits(Pending),
    /// It is taken back.
    Undone {
        /// The journal entry.
        id: String,
        /// What had become of it, and what is loaded now.
        how: Undone,
    },
}

/// How an apply came to be taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undone {
    /// The load had not begun, or was half done: the rules from before it are loaded.
    CutOff,
    /// The time of its confirmation was over, and its guardian had not put it back: the rules from before it are loaded.
    Overdue,
    /// A reboot took it away, and the guardian with it: nothing of it is loaded, and what was confirmed before it counts.
    Rebooted,
}

/// How long after its time the guardian of an apply may need to put a large ruleset back. Later it is taken for dead.
pub const GRACE: Duration = Duration::from_secs(120);

/// The target of an entry.
pub fn target_of(entry: &Entry) -> Result<&'static dyn Target, ChangeError> {
    target::by_name(&entry.target)
        .ok_or_else(|| ChangeError::NothingThere(format!("there is no target `{}`", entry.target.escape_debug())))
}

/// Finishes or undoes what an earlier command left behind. The caller holds the lock, so nobody is at work.
pub fn settle(held: &Held<'_>) -> Result<Settled, ChangeError> {
    let (host, state) = (held.host, held.state);
    let Some(mut pending) = state.pending()? else { return Ok(Settled::Nothing) };
    let Some(mut entry) = state.entry(&pending.id)? else {
        // It was cut off before its way back was written, so before anything was loaded.
        state.set_pending(None)?;
        return Ok(Settled::Undone { id: pending.id, how: Undone::CutOff });
    };
    if was_kept(state, &entry)? {
        keep(host, state, &mut entry, None)?;
        return Ok(Settled::Kept(pending.id));
    }
    if pending.boot != guard::boot(host) {
        // A reboot took the rules and the guardian away; what was confirmed is loaded by whoever loads next.
        entry.stage = Stage::Restored;
        state.set_entry(&entry)?;
        state.set_pending(None)?;
        return Ok(Settled::Undone { id: pending.id, how: Undone::Rebooted });
    }
    if pending.waits && is_overdue(host, &pending) {
        return match undo(held, target_of(&entry)?, &mut entry, "nobody confirmed in time") {
            ChangeError::PutBack { .. } | ChangeError::NotLoaded { .. } => {
                Ok(Settled::Undone { id: pending.id, how: Undone::Overdue })
            }
            broken => Err(broken),
        };
    }
    if pending.waits {
        return Ok(Settled::Waits(pending));
    }
    let target = target_of(&entry)?;
    let (live, found) = side(host, target)?;
    if found.is(&entry.after) {
        if pending.confirm_by.is_some() {
            await_confirmation(state, &mut entry, &mut pending)?;
            return Ok(Settled::Waits(pending));
        }
        keep(host, state, &mut entry, live.generation)?;
        return Ok(Settled::Kept(pending.id));
    }
    match undo(held, target, &mut entry, "a load was cut off") {
        ChangeError::PutBack { .. } | ChangeError::NotLoaded { .. } => {
            Ok(Settled::Undone { id: pending.id, how: Undone::CutOff })
        }
        broken => Err(broken),
    }
}

/// Whether an entry was confirmed, and whoever did it was cut off before it was struck off what waits.
pub(super) fn was_kept(state: &State<'_>, entry: &Entry) -> Result<bool, ChangeError> {
    Ok(entry.stage == Stage::Kept && state.confirmed()?.as_ref() == Some(&entry.confirms))
}

/// Whether the guardian should have put this back long ago. The guardian itself goes by a clock that nobody can set; by
/// the other one, which can jump, it is only told that the guardian is dead.
fn is_overdue(host: &dyn Host, pending: &Pending) -> bool {
    let by = pending.confirm_by.as_deref().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    by.is_some_and(|by| host.now() > by + GRACE)
}

/// What an earlier command left behind, without touching it: what waits in this boot, or the entry of a load that was cut
/// off.
pub fn left_behind(host: &dyn Host, state: &State<'_>) -> Result<Option<Pending>, ChangeError> {
    Ok(state.pending()?.filter(|p| p.boot == guard::boot(host)))
}

/// Keeps what waits. The caller holds the lock.
///
/// # Errors
/// [`ChangeError::NothingThere`] if nothing waits, or something else than the token names.
pub fn confirm(held: &Held<'_>, token: Option<&str>) -> Result<(Entry, Pending), ChangeError> {
    let (host, state) = (held.host, held.state);
    let Settled::Waits(pending) = settle(held)? else {
        return Err(ChangeError::NothingThere("nothing waits to be confirmed".to_owned()));
    };
    if token.is_some_and(|t| t != pending.token) {
        return Err(ChangeError::NothingThere(format!("the token is not that of the apply {} that waits", pending.id)));
    }
    let Some(mut entry) = state.entry(&pending.id)? else {
        return Err(ChangeError::NothingThere("nothing waits to be confirmed".to_owned()));
    };
    keep(host, state, &mut entry, None)?;
    Ok((entry, pending))
}

/// Puts back at once what waits. The caller holds the lock.
pub fn refuse(held: &Held<'_>, pending: &Pending) -> Result<Entry, ChangeError> {
    let state = held.state;
    let Some(mut entry) = state.entry(&pending.id)? else {
        return Err(ChangeError::NothingThere("nothing waits".to_owned()));
    };
    match undo(held, target_of(&entry)?, &mut entry, "it was taken back") {
        ChangeError::PutBack { .. } | ChangeError::NotLoaded { .. } => Ok(entry),
        broken => Err(broken),
    }
}

/// The entry that going back undoes: the named one, else the last that was kept; and what is confirmed by going there.
pub fn behind(state: &State<'_>, id: Option<&str>) -> Result<(Entry, Confirmed), ChangeError> {
    let entry = match id {
        Some(id) => state.entry(id)?.ok_or_else(|| ChangeError::NoEntry(id.escape_debug().to_string()))?,
        None => state
            .entries()?
            .into_iter()
            .rev()
            .find(|e| e.confirmed && e.action != "restore")
            .ok_or_else(|| ChangeError::NothingThere("no apply was kept that could be put back".to_owned()))?,
    };
    let confirms = entry.confirmed_before.clone().unwrap_or(Confirmed::Absent);
    Ok((entry, confirms))
}
