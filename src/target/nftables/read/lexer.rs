//! Text to tokens, one at a time, so that long element lists can be read straight from the bytes.

use crate::target::ReadError;

/// One token; texts are borrowed from the listing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    /// A run of letters, digits and the signs that stand inside of names, addresses, ranges and times.
    Word(&'a str),
    /// A quoted string, without the quotes.
    Text(&'a str),
    /// A sign: one of `{ } ( ) , ; = & | ^ < > !`, or `== != <= >= << >>`.
    Sign(&'a str),
    /// A comment, without its `#`.
    Comment(&'a str),
    /// The end of a line.
    Newline,
    /// The end of the listing.
    End,
}

/// Where a lexer is: it can go back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// The next byte.
    at: usize,
    /// The number of its line, counted from 1.
    line: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line of the next byte.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// The offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The listing from one offset to another.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Passes over bytes that were read from [`Self::rest`], of which so many were ends of lines.
    pub(super) fn advance(&mut self, bytes: usize, lines: u32) {
        self.at += bytes;
        self.line += lines;
    }

    /// An error at the next byte.
    pub(super) fn error(&self, message: impl Into<String>) -> ReadError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let column = before[start..].chars().count() as u32 + 1;
        ReadError { line: self.line, column, message: message.into() }
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Token<'a> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'\n') | None => break,
                Some(b) if b.is_ascii_whitespace() => self.at += 1,
                // A line that ends in a backslash goes on.
                Some(b'\\') if bytes.get(self.at + 1) == Some(&b'\n') => self.advance(2, 1),
                _ => break,
            }
        }
        let start = self.at;
        let Some(first) = bytes.get(start) else { return Token::End };
        match first {
            b'\n' => {
                self.advance(1, 1);
                Token::Newline
            }
            b'#' => {
                let end = self.find(start, |b| b == b'\n');
                self.at = end;
                Token::Comment(self.slice(start + 1, end))
            }
            b'"' => {
                let end = self.find(start + 1, |b| b == b'"');
                let text = self.slice(start + 1, end);
                self.line += text.bytes().filter(|b| *b == b'\n').count() as u32;
                self.at = (end + 1).min(bytes.len());
                Token::Text(text)
            }
            b'{' | b'}' | b'(' | b')' | b',' | b';' | b'=' | b'&' | b'|' | b'^' | b'<' | b'>' | b'!' => {
                let second = bytes.get(start + 1);
                let two = match first {
                    b'=' | b'!' => second == Some(&b'='),
                    b'<' | b'>' => second == Some(&b'=') || second == Some(first),
                    _ => false,
                };
                self.at += if two { 2 } else { 1 };
                Token::Sign(self.slice(start, self.at))
            }
            _ => {
                let end = self.find(start, |b| b.is_ascii_whitespace() || b"{}(),;=&|^<>!\"#".contains(&b));
                self.at = end;
                Token::Word(self.slice(start, end))
            }
        }
    }

    fn find(&self, from: usize, stop: impl Fn(u8) -> bool) -> usize {
        self.text.as_bytes()[from..].iter().position(|b| stop(*b)).map_or(self.text.len(), |i| from + i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_a_rule() {
        let mut lexer = Lexer::new("tcp flags & (syn|ack) != 0x2 log prefix \"a # b\" # handle 7\n\t}");
        let mut tokens = Vec::new();
        loop {
            match lexer.next() {
                Token::End => break,
                token => tokens.push(token),
            }
        }
        use Token::{Comment, Newline, Sign, Text, Word};
        assert_eq!(
            tokens,
            [
                Word("tcp"),
                Word("flags"),
                Sign("&"),
                Sign("("),
                Word("syn"),
                Sign("|"),
                Word("ack"),
                Sign(")"),
                Sign("!="),
                Word("0x2"),
                Word("log"),
                Word("prefix"),
                Text("a # b"),
                Comment(" handle 7"),
                Newline,
                Sign("}")
            ]
        );
        assert_eq!(lexer.line(), 2);
    }

    #[test]
    fn an_error_names_the_column_in_characters() {
        let mut lexer = Lexer::new("a\nä \"ö\" }");
        while lexer.next() != Token::Text("ö") {}
        assert_eq!(lexer.error("x"), ReadError { line: 2, column: 6, message: "x".to_owned() });
    }
}
