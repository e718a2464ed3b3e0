//! List files: one network a line, `#` or `;` to the end of the line, read from one buffer without a copy of any line.

use memchr::{memchr, memchr3};

use crate::diagnostic::{FileId, codes};

use super::networks::{Lines, Use, network};
use super::sink::Sink;

/// The bytes at the start of a text that some editors write (U+FEFF in UTF-8).
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads a list. What is wrong is reported; an empty list is wrong, too.
pub(super) fn list(content: &[u8], usage: Use, file: FileId, sink: &mut Sink) -> Lines {
    let mut lines = Lines::default();
    if !check_text(content, file, sink) {
        return lines;
    }
    // Lines of networks are hardly shorter than this, so the vectors seldom grow.
    let (about, v6) = (content.len() / 16 + 1, content.iter().take(4096).any(|b| *b == b':'));
    if v6 {
        lines.v6.reserve(about / 2);
    } else {
        lines.v4.reserve(about);
    }
    let mut at = if content.starts_with(BOM) { BOM.len() } else { 0 };
    let (mut number, mut wrong) = (0u32, false);
    while at < content.len() {
        number = number.saturating_add(1);
        let rest = &content[at..];
        // What comes first, a comment or the end of the line, is looked for in one go.
        let end = memchr3(b'\n', b'#', b';', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        let len = end + memchr(b'\n', &rest[end..]).unwrap_or(rest.len() - end);
        let start = at + line.len() - line.trim_ascii_start().len();
        let text = line.trim_ascii();
        if !text.is_empty() {
            match network(text, usage, file, start..start + text.len(), sink) {
                Some(network) => lines.push(network, number),
                None => wrong = true,
            }
        }
        at += len + 1;
    }
    if lines.is_empty() && !wrong {
        sink.report(&codes::EMPTY_LIST, file, 0..0, |p| {
            p.say("the list holds no network")
                .help("an empty list decides nothing; take the key `file` away if that is meant")
        });
    }
    lines
}

/// Whether the bytes are text that is worth reading; reports every place that is no UTF-8.
pub(super) fn check_text(content: &[u8], file: FileId, sink: &mut Sink) -> bool {
    let utf16 = content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff");
    if utf16 || content.contains(&0) {
        let end = content.len().min(2);
        sink.report(&codes::INVALID_UTF8, file, 0..end, |p| {
            p.say(format!("this is {}, no UTF-8 text", if utf16 { "UTF-16" } else { "a binary file" }))
                .help("save it as UTF-8")
        });
        return false;
    }
    if std::str::from_utf8(content).is_err() {
        let mut at = 0;
        for chunk in content.utf8_chunks() {
            at += chunk.valid().len();
            let len = chunk.invalid().len();
            if len > 0 {
                sink.report(&codes::INVALID_UTF8, file, at..at + len, |p| {
                    p.say("these bytes are no UTF-8").help("save the file as UTF-8")
                });
            }
            at += len;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> (Lines, Vec<String>) {
        let mut sink = Sink::default();
        let lines = list(content, Use::Other, FileId(0), &mut sink);
        (lines, sink.finish(&[]).into_iter().map(|p| format!("{} {:?}", p.code.name, p.place.unwrap().span)).collect())
    }

    #[test]
    fn comments_blanks_and_line_ends() {
        let (lines, problems) = read(b"\xef\xbb\xbf10.0.0.0/8\r\n# none\n\n\t 192.0.2.1 ; SBL1\n2001:db8::/32#x");
        assert_eq!(problems, [""; 0]);
        assert_eq!(lines.v4.iter().map(|l| l.line).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(lines.v6.iter().map(|l| l.line).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        assert_eq!(read(b"10.0.0.0/8\n  10.0.0.1/8 # x\n").1, ["host-bits 13..23"]);
        assert_eq!(read(b"# only\n;comments\n").1, ["empty-list 0..0"]);
        assert_eq!(read(b"").1, ["empty-list 0..0"]);
        assert_eq!(read(b"10.0.0.1\n# B\xfcro\n").1, ["invalid-utf8 12..13"]);
        assert_eq!(read(b"\xff\xfe1\x000\x00").1, ["invalid-utf8 0..2"]);
        assert_eq!(read(b"10.0.0.1 10.0.0.2").1, ["not-an-address 0..17"]);
    }
}
