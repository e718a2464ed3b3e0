//! The wait for a confirmation as it is seen on a terminal: the seconds that are left, and Enter, which confirms.
//!
//! The guardian is another process and knows nothing of this one: whatever becomes of the terminal, it keeps its time.

use std::time::{Duration, Instant};

use crate::change::{ChangeError, GRACE, Stage, State, confirm};

use super::current::failure;
use super::cut::{Cut, cut_at_last};
use super::{Context, Failure};

/// How a countdown came to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Came {
    /// It is confirmed, by Enter or by somebody else.
    Confirmed {
        /// How the ending of connections went, if any were to be ended and this command has done it.
        cut: Option<Cut>,
    },
    /// The terminal gave nothing more to read, and the apply waits on.
    Unwatched,
}

/// Counts down until somebody decides. The caller has given the lock back.
///
/// # Errors
/// The apply was put back, or could not be; or the state directory could not be read or written.
pub(super) fn wait(
    cx: &Context<'_>,
    state: &State<'_>,
    (id, token): (&str, &str),
    since: Instant,
    seconds: u32,
) -> Result<Came, Failure> {
    let end = since + Duration::from_secs(seconds.into());
    let came = loop {
        match decided(state, id) {
            Ok(None) => {}
            Ok(Some(came)) => break Ok(came),
            Err(e) => break Err(e),
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() && end.elapsed() > GRACE {
            break Ok(Came::Unwatched);
        }
        if left.is_zero() {
            cx.count("the time is over: the old rules are being put back");
            cx.host.sleep(Duration::from_millis(200));
            continue;
        }
        let shown = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        cx.count(format!("the old rules come back in {shown} s; press Enter to keep the new ones"));
        let asked = Instant::now();
        let tick = left.min(Duration::from_secs(1));
        if cx.host.answer(Some(tick))?.is_some() {
            if let Some(came) = kept(cx, state, token)? {
                break Ok(came);
            }
        } else if asked.elapsed() < tick / 2 {
            // A terminal that is at its end answers at once, for ever.
            break Ok(Came::Unwatched);
        }
    };
    cx.count("");
    came
}

/// Confirms; none if another command is at work, so that it is to be seen what that comes to.
fn kept(cx: &Context<'_>, state: &State<'_>, token: &str) -> Result<Option<Came>, Failure> {
    let held = match state.lock() {
        Err(ChangeError::Locked) => return Ok(None),
        other => other.map_err(failure)?,
    };
    match confirm(&held, Some(token)) {
        Ok((entry, pending)) => Ok(Some(Came::Confirmed { cut: cut_at_last(cx, state, &entry, &pending) })),
        Err(ChangeError::NothingThere(_)) => Ok(None),
        Err(e) => Err(failure(e)),
    }
}

/// How it was confirmed by somebody else, if it waits no more.
///
/// # Errors
/// It was put back.
fn decided(state: &State<'_>, id: &str) -> Result<Option<Came>, Failure> {
    let waits = state.pending().map_err(failure)?.is_some_and(|p| p.id == id);
    match state.entry(id).map_err(failure)?.map(|e| e.stage) {
        Some(Stage::Kept) => Ok(Some(Came::Confirmed { cut: None })),
        Some(Stage::Broken) => Err(failure(ChangeError::Broken {
            why: "nobody confirmed in time".to_owned(),
            undo: "the guardian could not put the old rules back".to_owned(),
            loaded: "not known".to_owned(),
        })),
        _ if waits => Ok(None),
        _ => Err(failure(ChangeError::PutBack { why: "it was not confirmed".to_owned() })),
    }
}
