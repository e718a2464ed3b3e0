//! Text as a PowerShell literal that no text can leave, in ASCII alone.
//!
//! Windows PowerShell 5.1 reads a file without a byte order mark in the ANSI code page, where a byte of a UTF-8 letter can be
//! a quotation mark. So what is not printable ASCII is written as the numbers of its UTF-16 units and joined again.

use std::fmt::Write as _;

/// The literal of a text: `'it''s'`, or `(-join @('ESPA', [char]0x00D1, 'A'))`.
pub(super) fn literal(text: &str) -> String {
    let plain = |c: char| matches!(c, ' '..='~');
    if text.chars().all(plain) {
        return quoted(text);
    }
    let mut out = String::from("(-join @(");
    let mut rest = text;
    let mut separator = "";
    while let Some(first) = rest.chars().next() {
        out.push_str(separator);
        separator = ", ";
        let end = rest.find(|c| plain(c) != plain(first)).unwrap_or(rest.len());
        let (part, tail) = rest.split_at(end);
        rest = tail;
        if plain(first) {
            out.push_str(&quoted(part));
            continue;
        }
        for (i, unit) in part.encode_utf16().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}[char]0x{unit:04X}", if i > 0 { ", " } else { "" });
        }
    }
    out.push_str("))");
    out
}

/// Printable ASCII between single quotes, in which only the quote itself has a meaning.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The literal of a list: `@('993', '995')`.
pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    format!("@({})", items.into_iter().map(literal).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(""), "''");
        assert_eq!(literal("ESPAÑA"), "(-join @('ESPA', [char]0x00D1, 'A'))");
        assert_eq!(literal("’😀"), "(-join @([char]0x2019, [char]0xD83D, [char]0xDE00))");
        assert_eq!(literal("$(x) `n \"y\""), "'$(x) `n \"y\"'");
        assert_eq!(list(["993", "a'b"]), "@('993', 'a''b')");
    }
}
