//! A line as words, split as `iptables-restore` splits it: blanks, double quotes and backslashes, and nothing else; and
//! the one spelling of a line.

use std::borrow::Cow;

use crate::target::iptables::rates;

/// The words of a line, borrowed where they stand as they are.
pub(super) fn words(line: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return None;
        }
        let plain = rest.find([' ', '\t', '"', '\\']).unwrap_or(rest.len());
        if !matches!(rest.as_bytes().get(plain), Some(b'"' | b'\\')) {
            let word = &rest[..plain];
            rest = &rest[plain..];
            return Some(Cow::Borrowed(word));
        }
        let (mut word, mut quoted, mut escaped, mut end) = (String::new(), false, false, rest.len());
        for (at, c) in rest.char_indices() {
            match c {
                _ if escaped => {
                    word.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => quoted = !quoted,
                ' ' | '\t' if !quoted => {
                    end = at;
                    break;
                }
                _ => word.push(c),
            }
        }
        rest = &rest[end..];
        Some(Cow::Owned(word))
    })
}

/// The long names of options that the tools print by their short ones.
const SHORT: &[(&str, &str)] = &[
    ("--protocol", "-p"),
    ("--proto", "-p"),
    ("--match", "-m"),
    ("--source", "-s"),
    ("--src", "-s"),
    ("--destination", "-d"),
    ("--dst", "-d"),
    ("--in-interface", "-i"),
    ("--out-interface", "-o"),
    ("--jump", "-j"),
    ("--goto", "-g"),
];

/// A rule as the tools would print it: short options, rates in their own units, quotes where they are needed.
pub(in super::super) fn canonical(rule: &str) -> String {
    let mut out = String::with_capacity(rule.len());
    let mut before = Cow::Borrowed("");
    for word in words(rule) {
        if !out.is_empty() {
            out.push(' ');
        }
        if let Some((_, short)) = SHORT.iter().find(|(long, _)| *long == word) {
            out.push_str(short);
        } else if let Some(rate) = rates::printed(&before, &word) {
            out.push_str(&rate);
        } else {
            quote(&word, &mut out);
        }
        before = word;
    }
    out
}

/// Appends a word, in quotes if it would not be one word without them (`xtables_save_string`).
fn quote(word: &str, out: &mut String) {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\\' | '\'');
    if !word.is_empty() && word.chars().all(plain) {
        out.push_str(word);
        return;
    }
    out.push('"');
    for c in word.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_one_spelling() {
        for (written, is) in [
            ("-p tcp -m limit --limit 10/min -j LOG --log-prefix \"harden993 refused: \"", None),
            ("-m comment --comment \"it\\'s \\\"50%\\\"\" -j DROP", None),
            (
                "--protocol tcp --match limit --limit 60/minute --jump DROP",
                Some("-p tcp -m limit --limit 1/sec -j DROP"),
            ),
            ("-m comment --comment \"plain\" --goto X", Some("-m comment --comment plain -g X")),
            ("-m comment --comment \"\"  -j  X", Some("-m comment --comment \"\" -j X")),
        ] {
            assert_eq!(canonical(written), is.unwrap_or(written));
        }
    }

    #[test]
    fn only_double_quotes_and_backslashes_mean_something() {
        let split = |line: &'static str| words(line).map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(
            split(r#"-m comment  --comment "say \"hi\" \\ it\'s 50% $x" -j LOG"#),
            ["-m", "comment", "--comment", r#"say "hi" \ it's 50% $x"#, "-j", "LOG"]
        );
        assert_eq!(split("a'b c' \"\" d"), ["a'b", "c'", "", "d"]);
        assert_eq!(split("\"never closed -j DROP"), ["never closed -j DROP"]);
        assert_eq!(split("  "), Vec::<String>::new());
    }
}
