//! Keys and values of a text rule: which part of a packet is compared, and with what.

use super::document::{Data, Element, Op, Operand, Right, Verdict};
use super::field::Field;
use super::lexer::Token;

/// A walk over the tokens of one rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
}

/// The keys of packet metadata that nft prints without `meta`.
const BARE_META: &[&str] = &[
    "iif",
    "oif",
    "iifname",
    "oifname",
    "mark",
    "skuid",
    "skgid",
    "nftrace",
    "rtclassid",
    "iifgroup",
    "oifgroup",
    "cpu",
    "pkttype",
    "iiftype",
    "oiftype",
    "cgroup",
    "ibrname",
    "obrname",
    "ibriport",
    "obriport",
    "l4proto",
    "nfproto",
    "protocol",
    "priority",
    "day",
    "hour",
    "time",
    "length",
    "secpath",
    "sdif",
    "sdifname",
    "ibrpvid",
    "ibrvproto",
];

/// Headers whose fields are one more word.
const HEADERS: &[&str] = &[
    "ip", "ip6", "tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "ah", "esp", "comp", "th", "ether",
    "vlan", "arp", "gre", "frag", "hbh", "dst", "mh", "srh", "vxlan", "geneve",
];

/// Whether a word begins a test.
pub(super) fn begins_test(word: &str) -> bool {
    BARE_META.contains(&word)
        || HEADERS.contains(&word)
        || word.starts_with('@')
        || matches!(
            word,
            "meta"
                | "ct"
                | "fib"
                | "rt"
                | "socket"
                | "osf"
                | "ipsec"
                | "numgen"
                | "jhash"
                | "symhash"
                | "exthdr"
                | "tunnel"
        )
}

/// Whether a word begins a statement that is no test, so that reading can go on there after something unknown.
pub(super) fn begins_action(word: &str) -> bool {
    matches!(
        word,
        "accept"
            | "drop"
            | "continue"
            | "return"
            | "jump"
            | "goto"
            | "queue"
            | "reject"
            | "counter"
            | "comment"
            | "log"
            | "limit"
            | "notrack"
            | "add"
            | "update"
            | "delete"
            | "dnat"
            | "redirect"
            | "snat"
            | "masquerade"
            | "quota"
            | "last"
            | "dup"
            | "fwd"
            | "tproxy"
            | "synproxy"
            | "flow"
            | "meter"
            | "xt"
    )
}

impl<'t, 'a> Cursor<'t, 'a> {
    pub(super) fn new(tokens: &'t [Token<'a>]) -> Self {
        Self { tokens, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    /// The next word or string.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        match self.peek()? {
            Token::Word(word) | Token::Text(word) => {
                self.at += 1;
                Some(word)
            }
            _ => None,
        }
    }

    /// Passes over this word if it comes next.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(Token::Word(word));
        self.at += usize::from(there);
        there
    }

    /// Passes over this sign if it comes next.
    pub(super) fn takes_sign(&mut self, sign: &str) -> bool {
        let there = self.peek() == Some(Token::Sign(sign));
        self.at += usize::from(there);
        there
    }

    /// The next word, if it is a number.
    pub(super) fn number<N: std::str::FromStr>(&mut self) -> Option<N> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let number = word.parse().ok()?;
        self.at += 1;
        Some(number)
    }

    /// Passes over what is left of a statement that is not read.
    pub(super) fn skip_to_action(&mut self) {
        let mut depth = 0i64;
        while let Some(token) = self.peek() {
            match token {
                Token::Sign("{" | "(") => depth += 1,
                Token::Sign("}" | ")") => depth -= 1,
                Token::Word(word) if depth <= 0 && begins_action(word) => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// What stands between a brace that has been read and the one that closes it.
    pub(super) fn braces(&mut self) -> &'t [Token<'a>] {
        let (start, mut depth) = (self.at, 1i64);
        while let Some(token) = self.next() {
            match token {
                Token::Sign("{") => depth += 1,
                Token::Sign("}") => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return &self.tokens[start..self.at - 1];
            }
        }
        &self.tokens[start..]
    }

    /// A key: one part of the packet, or several joined by dots. None if no test begins here.
    pub(super) fn key(&mut self) -> Option<Vec<Operand>> {
        let mut out = vec![self.operand()?];
        while self.takes(".") {
            out.push(self.operand()?);
        }
        Some(out)
    }

    fn operand(&mut self) -> Option<Operand> {
        let field = Field::parse(&self.field()?);
        let mut mask = None;
        if self.takes_sign("&") {
            mask = Some(self.value()?);
        }
        Some(Operand { field, mask })
    }

    /// The words of a part of the packet, as [`Field::parse`] knows them.
    fn field(&mut self) -> Option<String> {
        let Some(Token::Word(first)) = self.peek() else { return None };
        if !begins_test(first) {
            return None;
        }
        self.at += 1;
        let mut words = first.to_owned();
        let mut also = |cursor: &mut Self| {
            if matches!(cursor.peek(), Some(Token::Word(word)) if begins_action(word)) {
                return None;
            }
            let word = cursor.word()?;
            words.push(' ');
            words.push_str(word);
            Some(word)
        };
        if BARE_META.contains(&first) {
            return Some(format!("meta {first}"));
        }
        match first {
            "ct" => {
                let directed = matches!(also(self)?, "original" | "reply");
                if directed && matches!(also(self)?, "ip" | "ip6") {
                    also(self)?;
                }
            }
            "fib" => {
                also(self)?;
                while self.peek() == Some(Token::Word(".")) {
                    also(self)?;
                    also(self)?;
                }
                also(self)?;
            }
            "tcp" | "ip" | "exthdr" | "arp" => {
                let option = also(self)? == "option";
                if option {
                    also(self)?;
                }
                // `exists` and `missing` are what the option is compared with.
                if option && !matches!(self.peek(), Some(Token::Word("exists" | "missing")) | None) {
                    also(self)?;
                }
            }
            "meta" => {
                also(self)?;
            }
            _ if HEADERS.contains(&first) => {
                also(self)?;
            }
            // The others have operands of their own, and none of them is modelled.
            _ => {}
        }
        Some(words)
    }

    /// One value: a word, or flags joined by `,` or `|`, with or without parentheses.
    pub(super) fn value(&mut self) -> Option<String> {
        let parenthesised = self.takes_sign("(");
        let mut out = self.word()?.to_owned();
        while let Some(Token::Sign(sign @ ("," | "|"))) = self.peek() {
            self.at += 1;
            out.push_str(sign);
            out.push_str(self.word()?);
        }
        if parenthesised && !self.takes_sign(")") {
            return None;
        }
        Some(out)
    }

    /// Passes over an expression: values and parts of the packet, joined by operators, perhaps looked up in a map. False if it
    /// is not read as a whole.
    pub(super) fn expression(&mut self) -> bool {
        let words = [".", "and", "or", "xor"];
        let signs = [",", "&", "|", "^", "<<", ">>"];
        let mut open = 0u32;
        loop {
            while self.takes_sign("(") {
                open += 1;
            }
            if !self.term() {
                return false;
            }
            while open > 0 && self.takes_sign(")") {
                open -= 1;
            }
            if !words.iter().any(|w| self.takes(w)) && !signs.iter().any(|s| self.takes_sign(s)) {
                break;
            }
        }
        open == 0 && (!self.takes("map") || self.right().is_some())
    }

    /// Passes over one value or part of the packet.
    fn term(&mut self) -> bool {
        let Some(Token::Word(word)) = self.peek() else { return self.word().is_some() };
        match word {
            "numgen" | "jhash" | "symhash" => {
                self.at += 1;
                let key = match word {
                    "symhash" => true,
                    "numgen" => self.word().is_some(),
                    _ => self.key().is_some(),
                };
                let mut more = true;
                while more && ["mod", "seed", "offset"].iter().any(|w| self.takes(w)) {
                    more = self.word().is_some();
                }
                key && more
            }
            "rt" => {
                self.at += 1;
                self.word().is_some_and(|w| !matches!(w, "ip" | "ip6") || self.word().is_some())
            }
            _ if begins_test(word) => self.field().is_some(),
            _ if begins_action(word) => false,
            _ => self.word().is_some(),
        }
    }

    /// An operator, if one comes next.
    pub(super) fn op(&mut self) -> Op {
        let op = match self.peek() {
            Some(Token::Sign("==")) => Op::Equal,
            Some(Token::Sign("!=")) => Op::NotEqual,
            Some(Token::Sign("!")) => Op::Lacks,
            Some(Token::Sign("<")) => Op::Less,
            Some(Token::Sign("<=")) => Op::LessOrEqual,
            Some(Token::Sign(">")) => Op::Greater,
            Some(Token::Sign(">=")) => Op::GreaterOrEqual,
            _ => return Op::Is,
        };
        self.at += 1;
        op
    }

    /// What a key is compared with or looked up in.
    pub(super) fn right(&mut self) -> Option<Right> {
        if self.takes_sign("{") {
            return Some(Right::Set(elements(self.braces())));
        }
        if let Some(Token::Word(word)) = self.peek()
            && let Some(name) = word.strip_prefix('@')
        {
            self.at += 1;
            return Some(Right::Named(name.to_owned()));
        }
        let value = self.value()?;
        if self.takes("/") {
            return Some(Right::Under(value, self.value()?));
        }
        if self.peek() != Some(Token::Word(".")) {
            return Some(Right::Value(value));
        }
        let mut key = vec![value];
        while self.takes(".") {
            key.push(self.value()?);
        }
        Some(Right::Set(vec![Element { key, data: None }]))
    }

    /// A verdict, if one comes next.
    pub(super) fn verdict(&mut self) -> Option<Verdict> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let verdict = match word {
            "accept" => Verdict::Accept,
            "drop" => Verdict::Drop,
            "continue" => Verdict::Continue,
            "return" => Verdict::Return,
            "queue" => Verdict::Other("a program decides (queue)"),
            "jump" | "goto" => {
                self.at += 1;
                return Some(match self.word() {
                    Some(name) if word == "jump" => Verdict::Jump(name.to_owned()),
                    Some(name) => Verdict::Goto(name.to_owned()),
                    None => Verdict::Other("a chain without a name"),
                });
            }
            _ => return None,
        };
        self.at += 1;
        Some(verdict)
    }
}

/// The elements of an anonymous set.
fn elements(tokens: &[Token<'_>]) -> Vec<Element> {
    let mut out = Vec::new();
    let (mut depth, mut from) = (0i64, 0);
    for (i, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign("{" | "(") => depth += 1,
            Token::Sign("}" | ")") => depth -= 1,
            Token::Sign(",") if depth == 0 => {
                out.extend(element(&tokens[from..i]));
                from = i + 1;
            }
            _ => {}
        }
    }
    out.extend(element(&tokens[from..]));
    out
}

/// One element of a set or map; none if nothing is there.
pub(super) fn element(tokens: &[Token<'_>]) -> Option<Element> {
    let colon = tokens.iter().position(|t| *t == Token::Word(":"));
    let (left, data) = match colon {
        Some(at) => (&tokens[..at], Some(&tokens[at + 1..])),
        None => (tokens, None),
    };
    let key = parts(left);
    if key.is_empty() {
        return None;
    }
    let data = data.map(|tokens| match Cursor::new(tokens).verdict() {
        Some(verdict) => Data::Verdict(verdict),
        None => Data::Value(parts(tokens)),
    });
    Some(Element { key, data })
}

/// The parts of a concatenation; what is said of the element behind them is passed over.
fn parts(tokens: &[Token<'_>]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut cursor = Cursor::new(tokens);
    while let Some(value) = cursor.value() {
        out.push(value);
        if !cursor.takes(".") {
            break;
        }
    }
    out
}
