//! The end of the open connections of who lost access, and how it went.

use std::fmt;

use crate::change::{Entry, Pending, State};
use crate::host::{Through, end};
use crate::net::AddrSet;

use super::Context;
use super::applying::open_from;

/// How the ending of connections went. The rules are loaded by then, so that it went wrong is no failure of the change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Cut {
    /// So many of so many were ended; the others had ended by themselves, or could not be.
    Ended { ended: usize, open: usize },
    /// They could not be told or ended, and why.
    Failed(String),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { ended, open } => write!(f, "ended {ended} of {open} open connections of who lost access"),
            Self::Failed(why) => write!(f, "the open connections of who lost access go on: {why}"),
        }
    }
}

/// Ends the open connections to some ports from some sources.
pub(super) fn cut(cx: &Context<'_>, ports: &[u16], lost: &AddrSet, through: &Through) -> Cut {
    let cut = match open_from(cx, ports, lost, through) {
        Ok(open) => Cut::Ended { ended: end(cx.host, &open), open: open.len() },
        Err(e) => Cut::Failed(e.message),
    };
    if let Cut::Failed(_) = cut {
        cx.warn(cut.to_string());
    }
    cut
}

/// Ends the connections that a confirmed apply was to end; none if it was to end none.
pub(super) fn cut_at_last(cx: &Context<'_>, state: &State<'_>, entry: &Entry, pending: &Pending) -> Option<Cut> {
    pending.cut.then(|| match state.lost(&entry.id) {
        Ok((lost, through)) => cut(cx, &entry.ports, &lost, &through),
        Err(e) => {
            let failed = Cut::Failed(e.to_string());
            cx.warn(failed.to_string());
            failed
        }
    })
}
