//! The blocks of a text listing: tables, chains, sets and maps.

use crate::target::ReadError;

use super::document::{Document, Element, Elements, Rule, Set, TableFamily};
use super::elements;
use super::lexer::{Lexer, Token};
use super::rate;
use super::{base, statement};

/// The most parts of one rule; more are one unknown statement. Bounds what one line can cost.
const MOST_TOKENS: usize = 2_000_000;

/// How much of a rule's text is kept for reports.
const MOST_TEXT: usize = 400;

/// Reads a listing, or a file that is loaded with `nft -f` and defines whole tables.
pub(super) fn document(text: &str) -> Result<Document<'_>, ReadError> {
    let mut parser = Parser { lexer: Lexer::new(text), document: Document::of(text) };
    parser.run()?;
    Ok(parser.document)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    document: Document<'a>,
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<(), ReadError> {
        loop {
            let before = self.lexer;
            match self.lexer.next() {
                Token::End => return Ok(()),
                Token::Newline | Token::Comment(_) | Token::Sign(";") => {}
                Token::Word(verb @ ("table" | "add" | "create" | "delete" | "destroy" | "flush")) => {
                    self.command(verb)?;
                }
                _ => {
                    self.lexer = before;
                    return Err(self.lexer.error("a listing of nft was expected here: `table FAMILY NAME {`"));
                }
            }
        }
    }

    /// One command at the outermost level.
    fn command(&mut self, verb: &str) -> Result<(), ReadError> {
        let what = match verb {
            "table" => "table",
            _ => match self.lexer.next() {
                Token::Word(word) => word,
                _ => return Err(self.lexer.error(format!("`{verb}` of what?"))),
            },
        };
        if verb == "flush" && what == "ruleset" {
            self.document.flush();
            return self.end_of_command();
        }
        if what != "table" {
            return Err(self
                .lexer
                .error(format!("`{verb} {what}` changes parts of a table; only whole tables can be read")));
        }
        let mut family = TableFamily::Ip;
        let mut name = self.name()?;
        if let Some(known) = TableFamily::parse(name) {
            family = known;
            name = self.name()?;
        }
        match verb {
            "delete" | "destroy" => {
                self.document.delete(family, name);
                self.end_of_command()
            }
            "flush" => {
                Err(self.lexer.error("`flush table` leaves chains without rules; only whole tables can be read"))
            }
            _ => {
                let number = self.document.table(family, name);
                let before = self.lexer;
                if self.next_but_comments() == Token::Sign("{") {
                    self.table(number)
                } else {
                    self.lexer = before;
                    self.end_of_command()
                }
            }
        }
    }

    fn end_of_command(&mut self) -> Result<(), ReadError> {
        match self.next_but_comments() {
            Token::Newline | Token::End | Token::Sign(";") => Ok(()),
            _ => Err(self.lexer.error("the end of the line was expected here")),
        }
    }

    fn name(&mut self) -> Result<&'a str, ReadError> {
        match self.lexer.next() {
            Token::Word(name) | Token::Text(name) => Ok(name),
            _ => Err(self.lexer.error("a name was expected here")),
        }
    }

    fn next_but_comments(&mut self) -> Token<'a> {
        loop {
            match self.lexer.next() {
                Token::Comment(_) => {}
                token => return token,
            }
        }
    }

    fn cut_off(&self, what: &str) -> ReadError {
        self.lexer.error(format!("the listing ends inside of {what}: it was cut off"))
    }

    /// The inside of a table.
    fn table(&mut self, number: usize) -> Result<(), ReadError> {
        loop {
            match self.next_but_comments() {
                Token::End => return Err(self.cut_off("a table")),
                Token::Sign("}") => return Ok(()),
                Token::Word("chain") => {
                    let name = self.name()?;
                    self.open("a chain")?;
                    self.chain(number, name)?;
                }
                Token::Word(kind @ ("set" | "map")) => {
                    let name = self.name()?;
                    self.open("a set")?;
                    self.set(number, name, kind == "map")?;
                }
                Token::Word("flags") => {
                    let dormant = self.words_of_line()?.contains(&"dormant");
                    self.document.tables[number].dormant |= dormant;
                }
                Token::Word(_) => self.object()?,
                Token::Newline | Token::Sign(_) | Token::Text(_) | Token::Comment(_) => {}
            }
        }
    }

    fn open(&mut self, what: &str) -> Result<(), ReadError> {
        match self.next_but_comments() {
            Token::Sign("{") => Ok(()),
            Token::End => Err(self.cut_off(what)),
            _ => Err(self.lexer.error(format!("the `{{` of {what} was expected here"))),
        }
    }

    /// The words up to the end of a line or statement.
    fn words_of_line(&mut self) -> Result<Vec<&'a str>, ReadError> {
        let mut words = Vec::new();
        loop {
            let before = self.lexer;
            match self.lexer.next() {
                Token::Newline | Token::Sign(";") => return Ok(words),
                Token::Sign("}") => {
                    self.lexer = before;
                    return Ok(words);
                }
                Token::End => return Err(self.cut_off("a table")),
                Token::Word(word) | Token::Text(word) => words.push(word),
                Token::Sign(_) | Token::Comment(_) => {}
            }
        }
    }

    /// Something in a table that answers do not depend on by itself: passed over, with its block if it has one.
    fn object(&mut self) -> Result<(), ReadError> {
        loop {
            match self.next_but_comments() {
                Token::Newline | Token::Sign(";") => return Ok(()),
                Token::Sign("{") => return self.block(),
                Token::End => return Err(self.cut_off("a table")),
                _ => {}
            }
        }
    }

    /// The rest of a block that is not read.
    fn block(&mut self) -> Result<(), ReadError> {
        let mut depth = 1u64;
        while depth > 0 {
            match self.lexer.next() {
                Token::Sign("{") => depth += 1,
                Token::Sign("}") => depth -= 1,
                Token::End => return Err(self.cut_off("a block")),
                _ => {}
            }
        }
        Ok(())
    }

    /// The inside of a chain.
    fn chain(&mut self, table: usize, name: &str) -> Result<(), ReadError> {
        self.document.tables[table].chain(name);
        let mut tokens: Vec<Token<'a>> = Vec::new();
        loop {
            tokens.clear();
            let (rule, closed) = self.line(&mut tokens)?;
            match tokens.first() {
                None | Some(Token::Word("comment")) => {}
                Some(Token::Word("type")) => {
                    let base = base::base(&tokens);
                    self.document.tables[table].chain(name).base = Some(base);
                }
                Some(Token::Word("policy")) => {
                    let drops = tokens.get(1) == Some(&Token::Word("drop"));
                    if let Some(base) = &mut self.document.tables[table].chain(name).base {
                        base.drops = drops;
                    }
                }
                Some(_) => {
                    let table = &mut self.document.tables[table];
                    statement::fed(&tokens, &mut table.fed);
                    table.chain(name).rules.push(rule);
                }
            }
            if closed {
                return Ok(());
            }
        }
    }

    /// One line of a chain: its tokens and what they say, and whether the chain ends with it.
    fn line(&mut self, tokens: &mut Vec<Token<'a>>) -> Result<(Rule, bool), ReadError> {
        let (mut depth, mut handle, mut strange) = (0u32, None, false);
        let mut span: Option<(usize, u32)> = None;
        let mut end = self.lexer.at();
        let closed = loop {
            let token = self.lexer.next();
            match token {
                Token::End => return Err(self.cut_off("a chain")),
                Token::Newline if depth > 0 => continue,
                Token::Newline => break false,
                Token::Sign(";") if depth == 0 => break false,
                Token::Sign("}") if depth == 0 => break true,
                Token::Comment(text) => {
                    match text.trim().strip_prefix("handle ").and_then(|n| n.parse().ok()) {
                        Some(number) => handle = Some(number),
                        // Some versions print what they cannot express as a comment inside of the rule, and the verdict
                        // of the rule is lost behind it.
                        None => strange |= span.is_some(),
                    }
                    continue;
                }
                Token::Sign("{") => depth += 1,
                Token::Sign("}") => depth -= 1,
                _ => {}
            }
            span.get_or_insert_with(|| {
                let length = match token {
                    Token::Text(text) => text.len() + 2,
                    Token::Word(text) | Token::Sign(text) | Token::Comment(text) => text.len(),
                    Token::Newline | Token::End => 0,
                };
                (self.lexer.at() - length, self.lexer.line())
            });
            end = self.lexer.at();
            if tokens.len() < MOST_TOKENS {
                tokens.push(token);
            } else {
                strange = true;
            }
        };
        let (from, line) = span.unwrap_or((end, self.lexer.line()));
        Ok((Rule { line, handle, from, to: end, whole: !strange }, closed))
    }

    /// The inside of a set or map.
    fn set(&mut self, table: usize, name: &str, map: bool) -> Result<(), ReadError> {
        let mut set = Set { changes: false, interval: false, timeout: None, elements: Elements::Any(Vec::new()) };
        let mut types: Vec<&str> = Vec::new();
        loop {
            match self.next_but_comments() {
                Token::End => return Err(self.cut_off("a set")),
                Token::Sign("}") => break,
                Token::Word("type" | "typeof") => types = self.words_of_line()?,
                Token::Word("flags") => {
                    let flags = self.words_of_line()?;
                    set.interval |= flags.contains(&"interval");
                    set.changes |= flags.iter().any(|f| matches!(*f, "dynamic" | "timeout" | "evaluate"));
                }
                Token::Word("timeout") => {
                    set.changes = true;
                    set.timeout = self.words_of_line()?.first().and_then(|t| rate::seconds(t));
                }
                Token::Word("elements") => {
                    match self.next_but_comments() {
                        Token::Sign("=") => {}
                        Token::End => return Err(self.cut_off("a set")),
                        _ => return Err(self.lexer.error("the `=` of the elements was expected here")),
                    }
                    self.open("the elements of a set")?;
                    let more = match (map, &types[..]) {
                        (false, ["ipv4_addr"] | ["ip", "saddr" | "daddr"]) => {
                            elements::addresses::<u32>(&mut self.lexer)?
                        }
                        (false, ["ipv6_addr"] | ["ip6", "saddr" | "daddr"]) => {
                            elements::addresses::<u128>(&mut self.lexer)?
                        }
                        _ => Elements::Any(self.elements()?),
                    };
                    set.elements.extend(more);
                }
                Token::Word(_) => {
                    self.words_of_line()?;
                }
                _ => {}
            }
        }
        let sets = &mut self.document.tables[table].sets;
        match sets.get_mut(name) {
            Some(known) => {
                known.changes |= set.changes;
                known.elements.extend(set.elements);
            }
            None => {
                sets.insert(name.to_owned(), set);
            }
        }
        Ok(())
    }

    /// The elements of a set of anything, up to the `}`.
    fn elements(&mut self) -> Result<Vec<Element>, ReadError> {
        let mut out = Vec::new();
        let mut tokens: Vec<Token<'a>> = Vec::new();
        let mut depth = 0u32;
        loop {
            match self.lexer.next() {
                Token::End => return Err(self.cut_off("the elements of a set")),
                Token::Newline | Token::Comment(_) => {}
                Token::Sign(",") if depth == 0 => {
                    out.extend(statement::element(&tokens));
                    tokens.clear();
                }
                Token::Sign("}") if depth == 0 => {
                    out.extend(statement::element(&tokens));
                    return Ok(out);
                }
                token => {
                    match token {
                        Token::Sign("{") => depth += 1,
                        Token::Sign("}") => depth -= 1,
                        _ => {}
                    }
                    if tokens.len() < MOST_TOKENS {
                        tokens.push(token);
                    }
                }
            }
        }
    }
}

impl Elements {
    /// Adds more elements.
    pub(super) fn extend(&mut self, more: Self) {
        match (&mut *self, more) {
            (Self::V4(all), Self::V4(more)) => all.extend(more),
            (Self::V6(all), Self::V6(more)) => all.extend(more),
            (Self::Any(all), Self::Any(more)) => all.extend(more),
            (Self::Any(all), more) if all.is_empty() => *self = more,
            (_, Self::Any(more)) if more.is_empty() => {}
            (Self::Unknown(_), _) => {}
            (_, Self::Unknown(why)) => *self = Self::Unknown(why),
            _ => *self = Self::Unknown("elements of different kinds".to_owned()),
        }
    }
}

/// The text of a rule, not longer than reports need.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Data, Statement, Verdict};
    use super::*;

    fn error(text: &str) -> (u32, String) {
        let e = document(text).expect_err("it is no listing");
        (e.line, e.message)
    }

    #[test]
    fn what_is_cut_off_or_alien_is_an_error_with_its_line() {
        assert_eq!(error("table ip x {\n\tchain y {\n").0, 3);
        assert_eq!(
            error("table ip x {\n\tset y {\n\t\telements = { 1.2.3.4,\n"),
            (4, "the listing ends inside of the elements of a set: it was cut off".to_owned())
        );
        assert_eq!(error("\n*filter\n").0, 2);
        assert_eq!(error("add rule ip x y accept\n").0, 1);
        assert!(document("").expect("nothing is a listing").tables.is_empty());
    }

    #[test]
    fn a_table_that_is_deleted_is_defined_anew() {
        let text = "table inet a { chain x { drop; } }\ntable inet a\ndelete table inet a\ntable inet a { # handle 4\n\tchain y {\n\t}\n}\n";
        let document = document(text).expect("a file");
        let there: Vec<_> = document.tables.iter().filter(|t| !t.gone).collect();
        assert_eq!(there.len(), 1);
        assert_eq!(there[0].chains.len(), 1);
        assert_eq!(there[0].chains[0].name, "y");
    }

    #[test]
    fn objects_that_are_not_known_are_passed_over() {
        let text = "table inet a {\n\tflags dormant\n\tcomment \"}\"\n\tct helper h {\n\t\ttype \"ftp\" protocol tcp\n\t}\n\tflowtable f {\n\t\thook ingress priority 0\n\t\tdevices = { eth0 }\n\t}\n\tchain y {\n\t\ttcp dport 1 accept # handle 12\n\t}\n}\n";
        let document = document(text).expect("a file");
        assert!(document.tables[0].dormant);
        let rule = &document.tables[0].chains[0].rules[0];
        assert_eq!((rule.line, rule.handle, document.written(rule)), (12, Some(12), "tcp dport 1 accept"));
    }

    #[test]
    fn a_rule_with_a_comment_inside_is_not_guessed() {
        let text = "table ip a {\n\tchain y {\n\t\tip protocol tcp # #conn src/32 > 5 drop\n\t}\n}\n";
        let document = document(text).expect("a file");
        let said = statement::of_rule(&document, &document.tables[0].chains[0].rules[0]);
        assert!(matches!(said[..], [Statement::UnknownAction(_)]));
    }

    #[test]
    fn maps_and_concatenations() {
        let text = "table ip a {\n\tmap m {\n\t\ttype ipv4_addr . inet_service : verdict\n\t\tflags interval\n\t\telements = { 10.0.0.0/8 . 22-25 comment \"a\" : accept,\n\t\t\t* : jump other }\n\t}\n}\n";
        let document = document(text).expect("a file");
        let Elements::Any(elements) = &document.tables[0].sets["m"].elements else { panic!("a list") };
        assert_eq!(elements[0].key, ["10.0.0.0/8", "22-25"]);
        assert_eq!(elements[0].data, Some(Data::Verdict(Verdict::Accept)));
        assert_eq!(elements[1].key, ["*"]);
    }
}
