//! A line as words, split as `iptables-restore` splits it: blanks, double quotes and backslashes, and nothing else.

use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::*;

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
