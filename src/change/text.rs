//! The difference of two printed rulesets as a unified diff.

use std::fmt::Write as _;
use std::ops::Range;

use similar::{Algorithm, TextDiff};

/// How many lines are shown around what differs.
const CONTEXT: usize = 3;

/// The unified diff of what is loaded and what is wanted; empty if they are equal.
///
/// What both begin and end with is passed over first, so that a small change costs hardly more than reading both. Patience
/// looks for lines that stand once on each side, which networks do, so that its cost grows with the size of the
/// texts and not with their size times the number of changes; and unlike a deadline it gives the same text every time.
pub fn unified(old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let before = context_start(&old[..alike(old, new)]);
    let (a, b) = (&old[before..], &new[before..]);
    let after = a.len() - alike_at_the_end(a, b);
    let after = after + context_end(&a[after..]);
    let (a, b) = (&a[..after], &b[..b.len() - (a.len() - after)]);
    let skipped = old[..before].matches('\n').count();

    let diff = TextDiff::configure().algorithm(Algorithm::Patience).diff_lines(a, b);
    let mut out = "--- loaded\n+++ wanted\n".to_owned();
    for group in diff.grouped_ops(CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let place = |a: Range<usize>, b: Range<usize>| lines(skipped + a.start..skipped + b.end);
        let olds = place(first.old_range(), last.old_range());
        let news = place(first.new_range(), last.new_range());
        // Writing to a String cannot fail.
        let _ = writeln!(out, "@@ -{olds} +{news} @@");
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let _ = write!(out, "{}{}", change.tag(), change.value());
        }
    }
    out
}

/// How many bytes of whole lines two texts begin with alike.
fn alike(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    a.as_bytes()[..same].iter().rposition(|c| *c == b'\n').map_or(0, |at| at + 1)
}

/// How many bytes of whole lines two texts end with alike.
fn alike_at_the_end(a: &str, b: &str) -> usize {
    let same = a.bytes().rev().zip(b.bytes().rev()).take_while(|(x, y)| x == y).count();
    let tail = &a.as_bytes()[a.len() - same..];
    // The first of these bytes may be in the middle of a line.
    tail.iter().position(|c| *c == b'\n').map_or(0, |at| same - at - 1)
}

/// Where the last lines of a text begin that are shown before a difference.
fn context_start(text: &str) -> usize {
    text.rmatch_indices('\n').nth(CONTEXT).map_or(0, |(at, _)| at + 1)
}

/// Where the first lines of a text end that are shown behind a difference.
fn context_end(text: &str) -> usize {
    text.match_indices('\n').nth(CONTEXT - 1).map_or(text.len(), |(at, _)| at + 1)
}

/// A range of lines as a unified diff writes it: counted from 1; an empty one by the line before it.
fn lines(range: Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => (range.start + 1).to_string(),
        n => format!("{},{n}", range.start + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified("a\nb\n", "a\nb\n"), "");
    }

    #[test]
    fn a_line_is_shown_in_its_place() {
        let diff = unified("set trusted\n 192.0.2.0/24\n", "set trusted\n 192.0.2.0/24\n 198.51.100.7\n");
        assert_eq!(diff, "--- loaded\n+++ wanted\n@@ -1,2 +1,3 @@\n set trusted\n  192.0.2.0/24\n+ 198.51.100.7\n");
    }

    #[test]
    fn a_hundred_thousand_lines_are_no_burden() {
        let lines = |skip: usize| {
            (0..100_000).filter(|n| n % 1000 != skip).fold(String::new(), |text, n| text + &n.to_string() + "\n")
        };
        let diff = unified(&lines(1), &lines(2));
        assert_eq!(diff.lines().filter(|l| l.starts_with('+') && !l.starts_with("+++")).count(), 100);
    }

    /// What is passed over changes nothing of what is printed.
    #[test]
    fn it_is_what_the_whole_texts_give() {
        let text = |lines: &[u32]| lines.iter().fold(String::new(), |text, n| text + "line " + &n.to_string() + "\n");
        let olds: Vec<u32> = (0..40).collect();
        let (mut firsts, mut lasts) = (olds.clone(), olds.clone());
        firsts.splice(0..2, [100]);
        lasts.splice(38..40, [100, 101, 102]);
        let mut both = olds.clone();
        both.remove(30);
        both.insert(5, 100);
        let long: Vec<u32> = (0..41).collect();
        for news in [&firsts, &lasts, &both, &long, &olds[..39].to_vec(), &Vec::new(), &vec![7; 3]] {
            for (a, b) in [(&olds, news), (news, &olds)] {
                let (a, b) = (text(a), text(b));
                let whole = TextDiff::configure().algorithm(Algorithm::Patience).diff_lines(a.as_str(), b.as_str());
                let whole = whole.unified_diff().context_radius(CONTEXT).header("loaded", "wanted").to_string();
                assert_eq!(unified(&a, &b), whole);
            }
        }
    }
}
