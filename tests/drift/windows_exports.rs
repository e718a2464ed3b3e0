//! What Windows exports of our rules, rewritten as it does: masks, another order, entries that others cover.

use crate::host::Host;
use crate::powershell::data;
use crate::saved::{Desk, drafts};

#[test]
fn an_export_is_the_same_rules() {
    let mut tried = 0;
    for (draft, _) in drafts(60) {
        let desk = Desk::new("windows", &draft, "");
        // Wildcards of interfaces and `via` are what Windows may refuse whatever is left out.
        let Some(script) = desk.render("windows") else { continue };
        tried += 1;
        for open in [false, true] {
            let host = Host { open, ..Host::default() }.loaded(&data(&script));
            desk.is_unchanged("an export", &[host.capture()]);
            desk.is_unchanged("with a mark of its byte order", &[format!("\u{feff}{}", host.capture())]);
        }
    }
    assert!(tried > 15, "Windows can do too few of the policies: {tried}");
}
