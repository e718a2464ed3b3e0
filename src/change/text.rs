//! The difference of two printed rulesets as a unified diff.

use similar::{Algorithm, TextDiff};

/// The unified diff of what is loaded and what is wanted; empty if they are equal.
///
/// Patience looks for lines that stand once on each side, which networks do, so that its cost grows with the size of the
/// texts and not with their size times the number of changes; and unlike a deadline it gives the same text every time.
pub fn unified(old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let diff = TextDiff::configure().algorithm(Algorithm::Patience).diff_lines(old, new);
    diff.unified_diff().context_radius(3).header("loaded", "wanted").to_string()
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
}
