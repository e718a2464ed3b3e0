//! Loading: which commands of pfctl's bring our anchor to what is wanted, and how it is put back.
//!
//! A load of the anchor's file is one transaction for its rules and tables; a refused one leaves the old.

use std::fmt::Write as _;

use crate::target::{Listing, LoadError, Loading, ReadError, Step, Wanted};

use super::read::{self, Ours};
use super::{ANCHOR, render};

/// What is loaded of ours as a file that pfctl loads; none if nothing is.
pub(super) fn snapshot(live: &Listing) -> Result<Option<String>, ReadError> {
    Ok(read::ours(live)?.filter(|o| !o.rules.is_empty() || !o.tables.is_empty()).map(|o| o.to_file()))
}

pub(super) fn loading(live: &Listing, wanted: Wanted<'_>) -> Result<Loading, LoadError> {
    let whole = |text: &str| Loading {
        check: vec![Step::new("pfctl", &["-a", ANCHOR, "-n", "-f", "-"], text)],
        load: vec![Step::new("pfctl", &["-a", ANCHOR, "-f", "-"], text)],
        ..Loading::default()
    };
    match wanted {
        Wanted::Rendering(_, files) => Ok(whole(files.first().map_or("", |f| &f.content))),
        Wanted::Snapshot(text) | Wanted::Anew(text) => Ok(whole(text)),
        Wanted::Absent => {
            if snapshot(live)?.is_none() {
                return Ok(Loading::default());
            }
            // Tables that are declared to persist survive the rules.
            let flush = |what| Step::new("pfctl", &["-a", ANCHOR, "-F", what], "");
            Ok(Loading { load: vec![flush("rules"), flush("Tables")], ..Loading::default() })
        }
    }
}

impl Ours {
    /// The anchor's file.
    fn to_file(&self) -> String {
        let mut out = String::new();
        for (name, set) in &self.tables {
            let _ = writeln!(out, "table <{name}> persist {{ \\");
            render::write_entries(&set.v4, &mut out);
            render::write_entries(&set.v6, &mut out);
            out.push_str("}\n");
        }
        for rule in &self.rules {
            out.push_str(rule);
            out.push('\n');
        }
        out
    }
}
