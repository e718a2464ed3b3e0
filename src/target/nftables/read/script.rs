//! Files for `nft -f` that only nft can tell the meaning of: they are no listings, however much they look like one.

use crate::target::{Section, Unprinted};

/// What shows that a section is such a file, where it is one.
pub(in super::super) fn unprinted(section: &Section) -> Option<Unprinted> {
    written(section).map(|(line, what)| Unprinted {
        line,
        message: format!("this is a file for `nft -f` ({what}), not what nft prints"),
        help: "only nft can tell what its variables and included files come to: load the file, in a namespace \
               (`unshare -rn sh -c 'nft -f FILE && nft list ruleset'`) or on its host, and give what `nft list ruleset` \
               prints",
    })
}

/// Where a text is written for `nft -f` in a way that nft never prints, and what shows it: a definition, an included file,
/// a variable. A listing begins with a table, so a few lines of another firewall are never taken for this.
fn written(section: &Section) -> Option<(u32, &'static str)> {
    if !section.command.is_empty() {
        return None;
    }
    let mut in_nft = section.text.starts_with("#!") && section.text.lines().next().is_some_and(|l| l.contains("/nft"));
    for (number, line) in (1..).zip(section.text.lines()) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("define" | "redefine") if line.contains('=') => return Some((number, "`define`")),
            Some("include") if line.contains(['"', '\'']) => return Some((number, "`include`")),
            // pf's tables stand in angle brackets.
            Some("table" | "flush" | "add" | "create" | "delete" | "destroy") if !line.contains('<') => in_nft = true,
            Some(word) if !in_nft && !word.starts_with('#') => return None,
            Some(_) if in_nft && has_variable(line) => return Some((number, "a variable")),
            _ => {}
        }
    }
    None
}

/// Whether a line names a variable outside of comments and quotes.
fn has_variable(line: &str) -> bool {
    if !line.contains('$') {
        return false;
    }
    let mut quoted = false;
    let mut before = ' ';
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return false,
            _ if before == '$' && !quoted && (c.is_ascii_alphabetic() || c == '_') => return true,
            _ => {}
        }
        before = c;
    }
    false
}
