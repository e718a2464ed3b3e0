//! The way through the tokens of a rule: looking, taking, skipping, lists.

use crate::target::ReadError;

use super::super::lexer::{Kind, Token};
use super::super::syntax::Rule;
use super::{Fail, WORDS};

/// A rule that is being read.
pub(super) struct Parser<'a, 't, 'f> {
    pub(super) tokens: &'a [Token<'t>],
    pub(super) at: usize,
    pub(super) complete: bool,
    pub(super) fail: Fail<'f>,
    pub(super) rule: Rule,
}

impl<'t> Parser<'_, 't, '_> {
    pub(super) fn peek(&self) -> Option<Kind<'t>> {
        self.tokens.get(self.at).map(|t| t.kind)
    }

    pub(super) fn next(&mut self) -> Option<Kind<'t>> {
        let kind = self.peek()?;
        self.at += 1;
        Some(kind)
    }

    pub(super) fn take(&mut self, word: &str) -> bool {
        let yes = matches!(self.peek(), Some(Kind::Word(w)) if w == word);
        self.at += usize::from(yes);
        yes
    }

    pub(super) fn take_mark(&mut self, mark: &str) -> bool {
        let yes = matches!(self.peek(), Some(Kind::Mark(m)) if m == mark);
        self.at += usize::from(yes);
        yes
    }

    pub(super) fn word(&mut self) -> Option<&'t str> {
        match self.peek() {
            Some(Kind::Word(w) | Kind::Quoted(w)) => {
                self.at += 1;
                Some(w)
            }
            _ => None,
        }
    }

    /// The name of an anchor: in quotes, or a word that starts no part of a rule.
    pub(super) fn name(&mut self) -> Option<String> {
        match self.peek() {
            Some(Kind::Quoted(name)) => {
                self.at += 1;
                Some(name.to_owned())
            }
            Some(Kind::Word(name)) if !WORDS.contains(&name) => {
                self.at += 1;
                Some(name.to_owned())
            }
            _ => None,
        }
    }

    /// The error for a rule that ends, or goes on with something else, where a part should stand.
    pub(super) fn cut(&self, wanted: &str) -> ReadError {
        let at = self.tokens.get(self.at).or(self.tokens.last());
        let message = match self.tokens.get(self.at) {
            Some(_) => format!("here {wanted} should stand"),
            None => format!("the rule ends where {wanted} should stand: the text is cut off"),
        };
        match at {
            Some(token) => (self.fail)(token, message),
            None => ReadError::line(0, message),
        }
    }

    /// Skips what stands in parentheses here.
    pub(super) fn skip_parentheses(&mut self) -> Result<(), ReadError> {
        if self.take_mark("(") {
            loop {
                match self.next() {
                    Some(Kind::Mark(")")) => break,
                    Some(_) => {}
                    None => return Err(self.cut("a closing parenthesis")),
                }
            }
        }
        Ok(())
    }

    /// Skips arguments up to the next word that starts a part.
    pub(super) fn skip_arguments(&mut self) {
        let mut depth = 0usize;
        while let Some(kind) = self.peek() {
            match kind {
                Kind::Word(w) if depth == 0 && WORDS.contains(&w) => break,
                Kind::Mark("(" | "{") => depth += 1,
                Kind::Mark(")" | "}") => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
    }

    /// The items of a list in braces, or the one item that stands alone.
    pub(super) fn list<T>(
        &mut self,
        wanted: &str,
        mut item: impl FnMut(&mut Self) -> Result<Option<T>, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        if !self.take_mark("{") {
            return match item(self)? {
                Some(one) => Ok(vec![one]),
                None => Err(self.cut(wanted)),
            };
        }
        let mut out = Vec::new();
        let mut depth = 1usize;
        while depth > 0 {
            if self.take_mark(",") {
                continue;
            }
            // Macros put lists into lists.
            if self.take_mark("{") {
                depth += 1;
                continue;
            }
            if self.take_mark("}") {
                depth -= 1;
                continue;
            }
            match item(self)? {
                Some(one) => out.push(one),
                None => return Err(self.cut(wanted)),
            }
        }
        Ok(out)
    }
}
