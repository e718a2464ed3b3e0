//! Words of strangers: how they are shown in a message, whether they are safe, and which known word they are nearest to.

use std::fmt::Write as _;

/// The longest piece of foreign text that a message repeats, in characters.
const SHOWN: usize = 60;

/// Whether a character has no place in a text: it controls a terminal, ends a line, or turns the direction of writing.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}'                  // direction marks
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'   // embeddings, overrides, isolates (Unicode TR 9)
            | '\u{2028}' | '\u{2029}'                             // line and paragraph separators
            | '\u{200b}' | '\u{feff}'                             // no width at all
        )
}

/// A foreign text as a message repeats it: in backquotes, short, with everything unsafe written out.
pub(super) fn quoted(text: &str) -> String {
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(i, _)| i);
    format!("`{}{}`", harmless(&text[..end]), if end < text.len() { "…" } else { "" })
}

/// A text with everything unsafe written out.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// The known word that was most likely meant, if one is near enough.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any word that we know, and not worth the time.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    let near = known.into_iter().map(|k| (distance(&word, &k.replace('-', "_")), k)).min_by_key(|(d, _)| *d);
    near.filter(|(d, k)| *d <= (k.len() / 3).max(1)).map(|(_, k)| k)
}

/// How many characters must be put in, taken out, changed or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word() {
        let known = ["networks", "except", "expires", "name", "ipv6_prefix"];
        assert_eq!(nearest("netwroks", known), Some("networks"));
        assert_eq!(nearest("network", known), Some("networks"));
        assert_eq!(nearest("Except", known), Some("except"));
        assert_eq!(nearest("ipv6-prefix", known), Some("ipv6_prefix"));
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"n".repeat(1_000_000), known), None);
    }

    #[test]
    fn foreign_text_is_shown_short_and_harmless() {
        assert_eq!(quoted("a\u{202e}b\nc"), "`a\\u{202e}b\\u{a}c`");
        assert_eq!(quoted(&"x".repeat(1_000_000)).chars().count(), SHOWN + 3);
        assert_eq!(quoted("Büro"), "`Büro`");
    }
}
