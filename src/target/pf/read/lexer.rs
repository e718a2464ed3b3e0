//! Text to tokens, as pfctl's own parser cuts it (pf.conf(5), GRAMMAR).

use crate::target::ReadError;

/// A token with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    /// The byte at which it starts.
    pub(super) start: usize,
    /// The line, counted from 1 in the text.
    pub(super) line: u32,
}

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind<'t> {
    /// A word: a keyword, number, address, name, `S/SA`, `30/60`, `1024:65535`.
    Word(&'t str),
    /// A text in quotes, without them. A line break inside is kept, where pfctl drops it.
    Quoted(&'t str),
    /// A table: its name, and the number of its addresses where a listing has it (`*`: no such table).
    Table(&'t str, Option<&'t str>),
    /// `$name`.
    Macro(&'t str),
    /// `{ } ( ) , = ! < >` or two of `= < >` or `!=` together, or `&`.
    Mark(&'t str),
    /// The end of a line that is not continued.
    Newline,
    /// The end of the text.
    End,
}

/// Cuts a text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    /// Added to lines in errors.
    before: u32,
}

impl<'t> Lexer<'t> {
    /// A lexer of a text before which the file has so many lines.
    pub(super) fn new(text: &'t str, before: u32) -> Self {
        Self { text, at: 0, line: 1, before }
    }

    /// The place where the next token or blank starts.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text between two places.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or("")
    }

    /// The rest of the line that starts here, without moving.
    pub(super) fn rest_of_line(&self) -> &'t str {
        let rest = &self.text[self.at..];
        rest.split('\n').next().unwrap_or(rest)
    }

    /// Goes to the start of the next line.
    pub(super) fn skip_line(&mut self) {
        match self.text[self.at..].find('\n') {
            Some(n) => {
                self.at += n + 1;
                self.line += 1;
            }
            None => self.at = self.text.len(),
        }
    }

    /// Whether everything is read and the last line has no end.
    pub(super) fn is_cut(&self) -> bool {
        self.at >= self.text.len() && !self.text.ends_with('\n')
    }

    /// An error at a place of this text.
    pub(super) fn error(&self, line: u32, start: usize, message: impl Into<String>) -> ReadError {
        let begin = self.text[..start.min(self.text.len())].rfind('\n').map_or(0, |n| n + 1);
        let column = self.text[begin..start.min(self.text.len())].chars().count() as u32 + 1;
        ReadError { line: line + self.before, column, message: message.into() }
    }

    /// Skips blanks, comments and continued line ends.
    fn skip_blanks(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\\' if bytes.get(self.at + 1) == Some(&b'\n') => {
                    self.at += 2;
                    self.line += 1;
                }
                // A comment that ends in a backslash goes on in the next line.
                b'#' => loop {
                    match bytes.get(self.at) {
                        None | Some(b'\n') => break,
                        Some(b'\\') if bytes.get(self.at + 1) == Some(&b'\n') => {
                            self.at += 2;
                            self.line += 1;
                        }
                        Some(_) => self.at += 1,
                    }
                },
                _ => break,
            }
        }
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token<'t>, ReadError> {
        self.skip_blanks();
        let (start, line) = (self.at, self.line);
        let bytes = self.text.as_bytes();
        let Some(byte) = bytes.get(start) else { return Ok(Token { kind: Kind::End, start, line }) };
        let kind = match byte {
            b'\n' => {
                self.at += 1;
                self.line += 1;
                Kind::Newline
            }
            b'"' | b'\'' => self.quoted(*byte)?,
            b'<' => self.angle(),
            b'$' => {
                let name = self.word_end(start + 1);
                self.at = name;
                Kind::Macro(&self.text[start + 1..name])
            }
            b'{' | b'}' | b'(' | b')' | b',' | b'&' => {
                self.at += 1;
                Kind::Mark(&self.text[start..self.at])
            }
            b'=' | b'!' | b'>' => {
                let two = matches!(bytes.get(start + 1), Some(b'=')) || self.text[start..].starts_with("><");
                self.at += if two { 2 } else { 1 };
                Kind::Mark(&self.text[start..self.at])
            }
            _ => {
                let end = self.word_end(start);
                if end == start {
                    return Err(self.error(line, start, "this character has no meaning in a ruleset of pf"));
                }
                self.at = end;
                Kind::Word(&self.text[start..end])
            }
        };
        Ok(Token { kind, start, line })
    }

    fn word_end(&self, start: usize) -> usize {
        let word = |b: &u8| b.is_ascii_alphanumeric() || b":._-/*+@?%[]~^|;".contains(b) || !b.is_ascii();
        let tail = &self.text.as_bytes()[start..];
        let end = start + tail.iter().take_while(|b| word(b)).count();
        // `->` is a token of its own, and no part of a word.
        if end > start && self.text.as_bytes()[end - 1] == b'-' && self.text[end..].starts_with('>') {
            return if end == start + 1 { end + 1 } else { end - 1 };
        }
        end
    }

    fn quoted(&mut self, quote: u8) -> Result<Kind<'t>, ReadError> {
        let (start, line) = (self.at, self.line);
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        loop {
            match bytes.get(at) {
                None => return Err(self.error(line, start, "the quote is not closed: the text is cut off")),
                // pfctl prints labels without escaping; one that holds a quote cannot be told from its end.
                Some(b) if *b == quote => break,
                Some(b'\\') if bytes.get(at + 1) == Some(&quote) => at += 2,
                Some(b) => {
                    self.line += u32::from(*b == b'\n');
                    at += 1;
                }
            }
        }
        self.at = at + 1;
        Ok(Kind::Quoted(&self.text[start + 1..at]))
    }

    /// `<name>`, `<name:12>`, or one of `< <= <>`.
    fn angle(&mut self) -> Kind<'t> {
        let start = self.at;
        let rest = &self.text[start + 1..];
        if let Some(end) = rest.find(['>', '\n', ' ', '<']).filter(|n| *n > 0 && rest[*n..].starts_with('>')) {
            self.at = start + end + 2;
            let name = &rest[..end];
            let (name, count) = name.rsplit_once(':').map_or((name, None), |(n, c)| (n, Some(c)));
            return Kind::Table(name.trim_matches('"'), count);
        }
        self.at += if rest.starts_with(['=', '>']) { 2 } else { 1 };
        Kind::Mark(&self.text[start..self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        let mut lexer = Lexer::new(text, 0);
        let mut out = Vec::new();
        loop {
            match lexer.next().unwrap().kind {
                Kind::End => return out,
                kind => out.push(kind),
            }
        }
    }

    #[test]
    fn words_marks_and_tables() {
        use Kind::{Macro, Mark, Newline, Quoted, Table, Word};
        assert_eq!(
            kinds("pass from !<a:12> port >= $p \"x y\" -> (em0:0) # end\n<b> < 5 10><20"),
            [
                Word("pass"),
                Word("from"),
                Mark("!"),
                Table("a", Some("12")),
                Word("port"),
                Mark(">="),
                Macro("p"),
                Quoted("x y"),
                Word("->"),
                Mark("("),
                Word("em0:0"),
                Mark(")"),
                Newline,
                Table("b", None),
                Mark("<"),
                Word("5"),
                Word("10"),
                Mark("><"),
                Word("20"),
            ]
        );
    }

    #[test]
    fn a_comment_that_ends_in_a_backslash_swallows_the_next_line() {
        assert_eq!(kinds("# office \\\nblock all\npass"), [Kind::Newline, Kind::Word("pass")]);
        assert_eq!(kinds("pass \\\n  all"), [Kind::Word("pass"), Kind::Word("all")]);
    }

    #[test]
    fn what_is_cut_off_is_an_error_with_its_place() {
        let mut lexer = Lexer::new("pass\n  label \"h993", 10);
        let error = loop {
            match lexer.next() {
                Ok(Token { kind: Kind::End, .. }) => unreachable!("the quote is open"),
                Ok(_) => {}
                Err(e) => break e,
            }
        };
        assert_eq!((error.line, error.column), (12, 9));
    }
}
