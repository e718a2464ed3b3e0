//! Typed access to TOML values: whatever is not of the type that its key takes is reported with its place.

use std::ops::Range;

use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::access::{Pattern, Per, Rate};
use crate::diagnostic::{Code, FileId, Problem, SourceFile, codes};

use super::keys;
use super::sheet::Spot;
use super::sink::Sink;
use super::words::{is_unsafe, nearest, quoted};

/// The most characters of a free text.
pub(super) const TEXT_MAX: usize = 1000;
/// The most characters of a path (`PATH_MAX` of Linux).
pub(super) const PATH_MAX: usize = 4096;
/// The largest rate, burst or number of connections.
pub(super) const COUNT_MAX: u32 = 1_000_000;

/// A value of the parsed file.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Reads values of one file.
pub(super) struct Reader<'a> {
    pub(super) file: FileId,
    pub(super) source: &'a SourceFile,
    pub(super) text: &'a str,
    pub(super) sink: &'a mut Sink,
}

impl Reader<'_> {
    pub(super) fn report(&mut self, code: &'static Code, span: Range<usize>, words: impl FnOnce(Problem) -> Problem) {
        self.sink.report(code, self.file, span, words);
    }

    pub(super) fn spot<T>(&self, value: T, span: Range<usize>) -> Spot<T> {
        Spot::new(value, self.file, span)
    }

    /// The bytes of a text inside of its quotes, or all of the value where it is written with escapes.
    pub(super) fn inside(&self, value: &Value<'_>, text: &str) -> Range<usize> {
        let span = value.span();
        let inner = span.start + 1..span.end.saturating_sub(1);
        if self.text.get(inner.clone()) == Some(text) { inner } else { span }
    }

    /// The line (counted from 1) of an offset.
    pub(super) fn line(&self, offset: usize) -> u32 {
        self.source.line_of(offset)
    }

    /// Reports a value of the wrong type.
    pub(super) fn wrong<T>(&mut self, key: &str, value: &Value<'_>, wants: &str, example: &str) -> Option<T> {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(true) => "`true`",
            DeValue::Boolean(false) => "`false`",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report(&codes::WRONG_TYPE, value.span(), |p| {
            p.say(format!("`{key}` takes {wants}, and this is {found}")).help(format!("write it as `{example}`"))
        });
        None
    }

    /// Reports a key that a table does not know. `known` are the keys of the table, `place` says where it stands.
    pub(super) fn unknown(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, known: &[&'static str], place: &str) {
        self.report(&codes::UNKNOWN_KEY, key.span(), |p| {
            let word: &str = key.get_ref();
            let p = p.say(format!("{} is no key {place}", quoted(word)));
            let elsewhere = keys::TABLES.iter().find(|(_, keys)| keys.contains(&word));
            match (nearest(word, known.iter().copied()), elsewhere) {
                (Some(near), _) => p.help(format!("did you mean `{near}`?")).fix(near),
                (None, Some((table, _))) => p.help(format!("`{word}` belongs {table}")),
                (None, None) => p.help(format!("the keys {place} are {}", known.join(", "))),
            }
        });
    }

    /// A table.
    pub(super) fn table<'v, 't>(&mut self, key: &str, value: &'v Value<'t>, example: &str) -> Option<&'v DeTable<'t>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.wrong(key, value, "a table", example),
        }
    }

    /// A list.
    pub(super) fn list<'v, 't>(&mut self, key: &str, value: &'v Value<'t>, example: &str) -> Option<&'v [Value<'t>]> {
        match value.get_ref() {
            DeValue::Array(list) => Some(list),
            _ => self.wrong(key, value, "a list", example),
        }
    }

    /// Any text.
    pub(super) fn string<'v>(
        &mut self,
        key: &str,
        value: &'v Value<'_>,
        example: &str,
    ) -> Option<(&'v str, Range<usize>)> {
        match value.get_ref() {
            DeValue::String(text) => Some((text, self.inside(value, text))),
            _ => self.wrong(key, value, "a text", example),
        }
    }

    /// A text that is safe to print and not too long.
    pub(super) fn free_text(
        &mut self,
        key: &str,
        value: &Value<'_>,
        max: usize,
        example: &str,
    ) -> Option<Spot<String>> {
        let (text, span) = self.string(key, value, example)?;
        if let Some(c) = text.chars().find(|c| is_unsafe(*c)) {
            self.report(&codes::UNSAFE_TEXT, span, |p| {
                p.say(format!("`{key}` holds the character U+{:04X}, which is not shown as what it is", u32::from(c)))
                    .help("take it away; a text is one line")
            });
            return None;
        }
        if text.chars().nth(max).is_some() {
            self.report(&codes::TEXT_TOO_LONG, span, |p| {
                p.say(format!("`{key}` has {} characters; at most {max} are carried", text.chars().count()))
                    .help("shorten it")
            });
            return None;
        }
        Some(self.spot(text.to_owned(), span))
    }

    /// A name of a profile or an entry.
    pub(super) fn name(&mut self, value: &Value<'_>) -> Option<Spot<String>> {
        let (text, span) = self.string("name", value, "name = \"office\"")?;
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        if starts && text.len() <= 32 && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Some(self.spot(text.to_owned(), span));
        }
        self.report(&codes::INVALID_NAME, span, |p| {
            let p = p.say(format!(
                "{} is no name: a small letter, then at most 31 small letters, digits and hyphens",
                if text.is_empty() { "an empty text".to_owned() } else { quoted(text) }
            ));
            match name_for(text) {
                Some(name) => p.help(format!("write `{name}`")).fix(name),
                None => p.help("write a name such as `office-2`"),
            }
        });
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str, value: &Value<'_>) -> Option<Spot<bool>> {
        match value.get_ref() {
            DeValue::Boolean(b) => Some(self.spot(*b, value.span())),
            _ => self.wrong(key, value, "`true` or `false`", &format!("{key} = true")),
        }
    }

    /// A whole number between bounds.
    pub(super) fn number(&mut self, key: &str, value: &Value<'_>, min: u32, max: u32) -> Option<Spot<u32>> {
        let DeValue::Integer(n) = value.get_ref() else {
            return self.wrong(key, value, "a whole number", &format!("{key} = {}", max.min(min.max(64))));
        };
        match i64::from_str_radix(n.as_str(), n.radix()).ok().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if (min..=max).contains(&n) => Some(self.spot(n, value.span())),
            _ => {
                self.report(&codes::INVALID_VALUE, value.span(), |p| {
                    p.say(format!("`{key}` takes a number from {min} to {max}"))
                });
                None
            }
        }
    }

    /// One of some words.
    pub(super) fn choice(
        &mut self,
        key: &str,
        value: &Value<'_>,
        words: &[&'static str],
    ) -> Option<Spot<&'static str>> {
        let example = format!("{key} = \"{}\"", words.first().copied().unwrap_or_default());
        let (text, span) = self.string(key, value, &example)?;
        if let Some(word) = words.iter().find(|w| **w == text) {
            return Some(self.spot(*word, span));
        }
        self.report(&codes::INVALID_VALUE, span, |p| {
            let p = p.say(format!("`{key}` does not take {}", quoted(text)));
            match nearest(text, words.iter().copied()) {
                Some(near) => p.help(format!("did you mean `{near}`?")).fix(near),
                None => p.help(format!("write one of {}", either(words))),
            }
        });
        None
    }

    /// A rate such as `60/minute`.
    pub(super) fn rate(&mut self, key: &str, value: &Value<'_>) -> Option<Spot<Rate>> {
        let (text, span) = self.string(key, value, &format!("{key} = \"60/minute\""))?;
        let rate = text.split_once('/').and_then(|(count, unit)| {
            let per = [Per::Second, Per::Minute, Per::Hour].into_iter().find(|p| p.name() == unit)?;
            let plain = !count.starts_with(['0', '+']);
            count.parse().ok().filter(|n| plain && (1..=COUNT_MAX).contains(n)).map(|n| Rate::new(n, per))
        });
        if rate.is_none() {
            self.report(&codes::INVALID_VALUE, span.clone(), |p| {
                p.say(format!("{} is no rate", quoted(text)))
                    .help(format!("write `N/second`, `N/minute` or `N/hour`, with N from 1 to {COUNT_MAX}"))
            });
        }
        Some(self.spot(rate?, span))
    }

    /// A day.
    pub(super) fn date(&mut self, key: &str, value: &Value<'_>) -> Option<Spot<Date>> {
        let example = format!("{key} = 2027-03-31");
        let DeValue::Datetime(found) = value.get_ref() else {
            return self.wrong(key, value, "a date without quotes", &example);
        };
        let (Some(date), None, None) = (found.date, found.time, found.offset) else {
            return self.wrong(key, value, "a date alone (the whole day in UTC counts)", &example);
        };
        let day = i16::try_from(date.year).ok().zip(i8::try_from(date.month).ok()).zip(i8::try_from(date.day).ok());
        let day = day.and_then(|((y, m), d)| Date::new(y, m, d).ok());
        if day.is_none() {
            self.report(&codes::INVALID_VALUE, value.span(), |p| p.say("there is no such day"));
        }
        Some(self.spot(day?, value.span()))
    }

    /// Names of interfaces. `aliases`: as Windows has them, with blanks and brackets.
    pub(super) fn interfaces(
        &mut self,
        key: &str,
        value: &Value<'_>,
        aliases: bool,
    ) -> Option<Spot<Vec<Spot<Pattern>>>> {
        let example = format!("{key} = [\"eth0\"]");
        let list = self.list(key, value, &example)?;
        if list.is_empty() {
            self.report(&codes::INVALID_VALUE, value.span(), |p| {
                p.say(format!("`{key}` names no interface")).help("name one, or leave the key out for every interface")
            });
            return None;
        }
        let mut out = Vec::with_capacity(list.len());
        for item in list {
            if let Some((text, span)) = self.string(key, item, &example) {
                out.extend(self.interface(text, span, aliases));
            }
        }
        // What is wrong has been reported; an empty list would mean every interface.
        (!out.is_empty()).then(|| self.spot(out, value.span()))
    }

    fn interface(&mut self, text: &str, span: Range<usize>, aliases: bool) -> Option<Spot<Pattern>> {
        // 15: IFNAMSIZ of Linux and the BSDs without its last zero; 256: NDIS_IF_MAX_STRING_SIZE.
        let max = if aliases { 256 } else { 15 };
        let stem = text.strip_suffix('*').unwrap_or(text);
        if ["lo", "lo0", "lo*", "*"].contains(&text) {
            self.report(&codes::LOOPBACK, span, |p| {
                p.say(format!("`{text}` is or holds the loopback interface, which is always accepted"))
                    .help("leave it out; without `interfaces` every interface but loopback is guarded")
            });
            return None;
        }
        if text.chars().nth(max).is_some() {
            self.report(&codes::TEXT_TOO_LONG, span, |p| {
                p.say(format!("{} is longer than {max} characters", quoted(text)))
                    .help("an interface cannot have such a name")
            });
            return None;
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:@".contains(&b) || (aliases && b" ()#+".contains(&b));
        if stem.is_empty() || !stem.bytes().all(plain) || stem.starts_with([' ', '-']) || text.ends_with(' ') {
            self.report(&codes::INVALID_INTERFACE, span, |p| {
                p.say(format!("{} is no name of an interface", quoted(text))).help(if aliases {
                    "use letters, digits, blanks and `._-:@()#+`; rename the interface if it has another name"
                } else {
                    "use letters, digits and `._-:@`, with a `*` at the end for all that start so; names with blanks \
                     belong into `interfaces` under `[target.windows]`"
                })
            });
            return None;
        }
        Some(self.spot(Pattern::parse(text), span))
    }
}

/// Words in a sentence: `` `a`, `b` or `c` ``.
pub(super) fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The name that was most likely meant: small letters, blanks and underscores as hyphens.
fn name_for(text: &str) -> Option<String> {
    if text.len() > 200 {
        return None;
    }
    let mut name = String::new();
    for c in text.trim().chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => name.push(c),
            ' ' | '_' | '-' | '.' => name.push('-'),
            _ => return None,
        }
    }
    (name.len() <= 32 && name.starts_with(|c: char| c.is_ascii_lowercase())).then_some(name)
}
