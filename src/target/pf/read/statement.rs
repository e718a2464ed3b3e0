//! A ruleset's text to statements: rules, tables, macros, anchors in braces.
//!
//! Takes what pfctl prints and what pf.conf holds. Nothing here recurses, and every text is walked once.

use std::collections::BTreeMap;

use crate::access::Refuse;
use crate::target::ReadError;

use super::lexer::{Kind, Lexer, Token};
use super::rule;
use super::syntax::{Action, Anchor, Anchors, Rule};
use super::table::Entries;

/// The most tokens that macros may expand to. Bounds what a hostile file can blow up.
const EXPANDED: usize = 1_000_000;

/// The most tokens of one rule.
const RULE_TOKENS: usize = 500_000;

/// Lines of pfctl's that say nothing about rules (pfctl prints them to stderr, and captures catch them).
const NOISE: &[&str] = &[
    "[ ",
    "No ALTQ support in kernel",
    "ALTQ related functions disabled",
    "pfctl: Use of -f option",
    "present in the main ruleset",
    "See /etc/pf.conf",
    "FILTER RULES:",
    "TRANSLATION RULES:",
];

/// What pfctl says of an anchor that is not there, with a zero exit code.
const ABSENT: &[&str] = &["pfctl: Anchor does not exist", "pfctl: DIOCGETRULES: Invalid argument"];

/// The path of an anchor that is named inside of another.
pub(super) fn join(parent: &str, name: &str) -> String {
    if let Some(absolute) = name.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut parts: Vec<&str> = parent.split('/').filter(|p| !p.is_empty()).collect();
    for part in name.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Reads the rules of one anchor into what is known.
pub(super) fn read(text: &str, before: u32, path: &str, out: &mut Anchors) -> Result<(), ReadError> {
    let mut reader = Reader {
        lexer: Lexer::new(text, before),
        macros: BTreeMap::new(),
        expanded: 0,
        paths: vec![path.to_owned()],
        anonymous: 0,
        out,
    };
    reader.anchor().read = true;
    reader.run()
}

struct Reader<'t, 'o> {
    lexer: Lexer<'t>,
    macros: BTreeMap<&'t str, Vec<Token<'t>>>,
    expanded: usize,
    /// The anchors in braces that are open; the last is the one being read.
    paths: Vec<String>,
    anonymous: u32,
    out: &'o mut Anchors,
}

impl<'t> Reader<'t, '_> {
    fn run(&mut self) -> Result<(), ReadError> {
        loop {
            let rest = self.lexer.rest_of_line().trim_start();
            if NOISE.iter().any(|n| rest.starts_with(n)) {
                self.lexer.skip_line();
                continue;
            }
            if !self.path().is_empty() && ABSENT.iter().any(|n| rest.starts_with(n)) {
                self.lexer.skip_line();
                continue;
            }
            let token = self.lexer.next()?;
            match token.kind {
                Kind::End if self.paths.len() > 1 => {
                    return Err(self.fail(&token, "an anchor's braces are not closed: the text is cut off"));
                }
                Kind::End => return Ok(()),
                Kind::Newline => {}
                Kind::Mark("}") if self.paths.len() > 1 => {
                    self.paths.pop();
                }
                Kind::Word("table") => self.table()?,
                Kind::Word(word) => {
                    if word.starts_with("pfctl:") {
                        let message = format!("pfctl failed: {}", self.lexer.rest_of_line().trim());
                        return Err(self.fail(&token, message));
                    }
                    self.statement(token)?;
                }
                _ => return Err(self.fail(&token, "here a rule should start")),
            }
        }
    }

    fn path(&self) -> &str {
        self.paths.last().map_or("", String::as_str)
    }

    fn anchor(&mut self) -> &mut Anchor {
        let path = self.path().to_owned();
        self.out.by_path.entry(path).or_default()
    }

    fn fail(&self, token: &Token<'_>, message: impl Into<String>) -> ReadError {
        self.lexer.error(token.line, token.start, message)
    }

    /// `table <name> [persist|const|counters] [file "…"] [{ … }]`, after its first word.
    fn table(&mut self) -> Result<(), ReadError> {
        let name = self.lexer.next()?;
        let Kind::Table(name, _) = name.kind else {
            return Err(self.fail(&name, "here the name of a table should stand"));
        };
        let mut entries = Entries::default();
        loop {
            let token = self.lexer.next()?;
            match token.kind {
                Kind::Newline | Kind::End => break,
                Kind::Word("file") => {
                    self.lexer.next()?;
                    entries.leave_open("the table is filled from a file");
                }
                Kind::Word(_) => {}
                Kind::Mark("{") => self.entries(&token, &mut entries)?,
                _ => return Err(self.fail(&token, "this does not belong to a table")),
            }
        }
        let table = entries.finish();
        self.anchor().tables.insert(name.to_owned(), table);
        Ok(())
    }

    fn entries(&mut self, opening: &Token<'t>, entries: &mut Entries) -> Result<(), ReadError> {
        let mut negated = false;
        loop {
            let token = self.lexer.next()?;
            match token.kind {
                Kind::Word(word) | Kind::Quoted(word) => {
                    entries.add(word, negated);
                    negated = false;
                }
                Kind::Mark("!") => negated = !negated,
                Kind::Mark("," | ")") | Kind::Newline => {}
                Kind::Mark("}") => return Ok(()),
                Kind::Mark("(") => entries.leave_open("the table holds an interface's addresses"),
                Kind::Macro(name) => match self.macros.get(name) {
                    Some(tokens) => {
                        self.expanded += tokens.len();
                        for t in tokens {
                            match t.kind {
                                Kind::Word(word) | Kind::Quoted(word) => {
                                    entries.add(word, negated);
                                    negated = false;
                                }
                                Kind::Mark("!") => negated = true,
                                _ => {}
                            }
                        }
                    }
                    None => entries.leave_open("the table uses a macro that is not in the listing"),
                },
                Kind::End => return Err(self.fail(opening, "this brace is not closed: the text is cut off")),
                _ => return Err(self.fail(&token, "this is no entry of a table")),
            }
            if self.expanded > EXPANDED {
                return Err(self.fail(&token, "the macros expand to too much"));
            }
        }
    }

    /// A statement that starts with a word.
    fn statement(&mut self, first: Token<'t>) -> Result<(), ReadError> {
        let start = first.start;
        let after = self.lexer.clone();
        if let (Kind::Word(name), Kind::Mark("=")) = (first.kind, self.lexer.next()?.kind) {
            let (tokens, _) = self.collect(None)?;
            self.macros.insert(name, unquote(tokens));
            return Ok(());
        }
        self.lexer = after;
        // Rules are numbered by `-vv`.
        let mut number = None;
        let mut first = first;
        if let Kind::Word(word) = first.kind
            && let Some(digits) = word.strip_prefix('@')
        {
            number = digits.parse().ok();
            first = self.lexer.next()?;
        }
        let line = first.line;
        let keyword = first.clone();
        let (tokens, body) = self.collect(Some(first))?;
        let text = self.lexer.slice(start, self.lexer.at()).trim();
        let Some(mut rule) = self.rule(&keyword, &tokens, body)? else { return Ok(()) };
        rule.line = line;
        rule.number = number;
        rule.text = origin(text);
        if body {
            let name = if let Action::Anchor(Some(name)) = &rule.action {
                join(self.path(), name)
            } else {
                self.anonymous += 1;
                join(self.path(), &format!("_{}", self.anonymous))
            };
            rule.action = Action::Anchor(Some(format!("/{name}")));
            self.anchor().rules.push(rule);
            self.paths.push(name);
            self.anchor().read = true;
            if self.paths.len() > 64 {
                return Err(self.fail(&keyword, "anchors are nested deeper than pf can hold (64)"));
            }
        } else {
            self.anchor().rules.push(rule);
        }
        Ok(())
    }

    /// The rule of a statement; none for one that decides nothing.
    fn rule(&mut self, keyword: &Token<'t>, tokens: &[Token<'t>], body: bool) -> Result<Option<Rule>, ReadError> {
        let Kind::Word(word) = keyword.kind else { return Err(self.fail(keyword, "here a rule should start")) };
        match word {
            "set" => {
                self.set(tokens);
                Ok(None)
            }
            // What these do is done to packets that a rule lets through, or on their way out.
            "scrub" | "scrub-anchor" | "nat" | "nat-anchor" | "altq" | "queue" | "dummynet" | "dummynet-anchor"
            | "ether" | "load" | "binat-anchor" => Ok(None),
            "pass" | "block" | "match" | "anchor" | "rdr" | "rdr-anchor" | "no" | "binat" | "antispoof" | "include" => {
                rule::parse(word, tokens, body, !self.lexer.is_cut(), &|t, m| self.lexer.error(t.line, t.start, m))
            }
            _ => {
                let shown = word.escape_default();
                Err(self.fail(
                    keyword,
                    format!("`{shown}` starts no rule of pf: this is no listing of pf, or it is cut off"),
                ))
            }
        }
    }

    fn set(&mut self, tokens: &[Token<'t>]) {
        let mut words = tokens.iter().filter_map(|t| match t.kind {
            Kind::Word(w) | Kind::Quoted(w) => Some(w),
            _ => None,
        });
        match (words.nth(1), words.next()) {
            (Some("skip"), Some("on")) => self.out.skipped.extend(words.map(ToOwned::to_owned)),
            (Some("block-policy"), Some("return")) => self.out.block_policy = Some(Refuse::Reset),
            (Some("block-policy"), Some("drop")) => self.out.block_policy = Some(Refuse::Drop),
            _ => {}
        }
    }

    /// The tokens up to the end of the statement, macros expanded, and whether a body in braces follows.
    fn collect(&mut self, first: Option<Token<'t>>) -> Result<(Vec<Token<'t>>, bool), ReadError> {
        let is_anchor = matches!(&first, Some(Token { kind: Kind::Word("anchor"), .. }));
        let mut tokens: Vec<Token<'t>> = Vec::new();
        let mut open: Vec<Token<'t>> = Vec::new();
        let mut pending = first;
        loop {
            let token = match pending.take() {
                Some(token) => token,
                None => self.lexer.next()?,
            };
            match token.kind {
                Kind::Newline if open.is_empty() => return Ok((tokens, false)),
                Kind::Newline => continue,
                Kind::End => {
                    return match open.pop() {
                        Some(opening) => Err(self.fail(&opening, "this is not closed: the text is cut off")),
                        None => Ok((tokens, false)),
                    };
                }
                Kind::Mark("{") if is_anchor && open.is_empty() && self.lexer.rest_of_line().trim().is_empty() => {
                    return Ok((tokens, true));
                }
                Kind::Mark("{" | "(") => open.push(token.clone()),
                Kind::Mark("}" | ")") => {
                    let pair = (open.pop().map(|t| t.kind), token.kind);
                    if !matches!(
                        pair,
                        (Some(Kind::Mark("{")), Kind::Mark("}")) | (Some(Kind::Mark("(")), Kind::Mark(")"))
                    ) {
                        return Err(self.fail(&token, "this closes nothing"));
                    }
                }
                Kind::Macro(name) => {
                    let known = self.macros.get(name);
                    let Some(value) = known else {
                        return Err(self.fail(&token, format!("the macro `{}` is not defined", name.escape_default())));
                    };
                    self.expanded += value.len();
                    if self.expanded > EXPANDED {
                        return Err(self.fail(&token, "the macros expand to too much"));
                    }
                    tokens.extend(value.iter().cloned());
                    continue;
                }
                _ => {}
            }
            if tokens.len() > RULE_TOKENS {
                return Err(self.fail(&token, "this rule is too long"));
            }
            tokens.push(token);
        }
    }
}

/// A macro's value: what stands in quotes is text to be cut again.
fn unquote(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut out = Vec::with_capacity(tokens.len());
    for token in tokens {
        let Kind::Quoted(text) = token.kind else {
            out.push(token);
            continue;
        };
        let mut lexer = Lexer::new(text, 0);
        while let Ok(Token { kind, .. }) = lexer.next() {
            match kind {
                Kind::End => break,
                Kind::Newline => {}
                kind => out.push(Token { kind, ..token }),
            }
        }
    }
    out
}

/// The text of a rule as an origin keeps it.
fn origin(text: &str) -> String {
    const LONGEST: usize = 400;
    let text = text.trim_end_matches(['{', '\n', ' ', '\t']);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
