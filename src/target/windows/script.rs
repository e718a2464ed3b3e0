//! The rendered script as text: its template, the marks between its code and its data, and the values of the data, which are
//! PowerShell literals and nothing else.

use std::borrow::Cow;

use crate::target::ReadError;
use crate::target::template::Template;

/// The script that loads the rules.
pub(super) const TEMPLATE: Template = Template {
    path: "windows/harden993.ps1.tera",
    text: include_str!("../../../templates/windows/harden993.ps1.tera"),
};

/// The line before the data. No text of the data holds a line break, so a mark after one is no text.
const DATA: &str = "\n# --- data ---";

/// The line after the data.
const END: &str = "\n# --- end of data ---";

/// The line at which the code begins; what is before it is comment and help.
const CODE: &str = "\n#Requires -Version 5.1";

/// Whether a text looks like a script of ours, of whatever version.
pub(super) fn recognises(text: &str) -> bool {
    text.starts_with("# harden993 ") && text.contains(DATA)
}

/// A script in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Script<'a> {
    /// The code before the data.
    before: &'a str,
    /// The data, between the marks.
    pub(super) data: &'a str,
    /// Where the data begins, in bytes.
    pub(super) offset: usize,
    /// The code after the data.
    after: &'a str,
}

impl<'a> Script<'a> {
    /// The parts of a script; none if a mark is missing.
    pub(super) fn split(text: &'a str) -> Option<Self> {
        let code = text.find(CODE)?;
        let data = code + text[code..].find(DATA)?;
        let offset = data + DATA.len();
        let end = offset + text[offset..].find(END)?;
        Some(Self { before: &text[code..data], data: &text[offset..end], offset, after: &text[end..] })
    }

    /// Whether the code is the template's own, line by line, so that the data is carried out as it stands.
    pub(super) fn has_our_code(&self) -> bool {
        let Some(ours) = Script::split(TEMPLATE.text) else { return false };
        let same = |a: &str, b: &str| a.replace('\r', "") == b;
        same(self.before, ours.before) && same(self.after, ours.after)
    }
}

/// A value of the data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// `@( … )` of texts or tables.
    List(Vec<Value<'a>>),
    /// `@{ … }`, in the order in which it was written.
    Table(Vec<(&'a str, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// The texts of a list; none if it is no list or holds anything else.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        if let Value::List(items) = self { items.iter().map(Value::text).collect() } else { None }
    }

    /// A field of a table.
    pub(super) fn get(&self, key: &str) -> Option<&Value<'a>> {
        if let Value::Table(fields) = self { fields.iter().find(|(k, _)| *k == key).map(|(_, v)| v) } else { None }
    }
}

/// Reads the data of a script: `$Name = VALUE` lines, where a value is a literal, a list or a table.
///
/// # Errors
/// Anything else, at its line of the whole text, which the data starts at byte `offset` of.
pub(super) fn parse<'a>(text: &'a str, script: &Script<'a>) -> Result<Vec<(&'a str, Value<'a>)>, ReadError> {
    let mut parser = Parser { text: script.data, at: 0 };
    parser.assignments().map_err(|message| {
        let before = &text[..(script.offset + parser.at).min(text.len())];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        ReadError {
            line: before.bytes().filter(|b| *b == b'\n').count() as u32 + 1,
            column: before[line_start..].chars().count() as u32 + 1,
            message: message.to_owned(),
        }
    })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// Tables stand in a list, and texts in the lists of a table: nothing that we write is nested deeper.
const DEPTH: u32 = 3;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\r', '\n']).len();
    }

    /// Takes a sign after any blanks, if it is next.
    fn take(&mut self, sign: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn expect(&mut self, sign: &str, message: &'static str) -> Result<(), &'static str> {
        if self.take(sign) { Ok(()) } else { Err(message) }
    }

    fn word(&mut self) -> Result<&'a str, &'static str> {
        self.blanks();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if end == 0 {
            return Err("a name is expected here");
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn assignments(&mut self) -> Result<Vec<(&'a str, Value<'a>)>, &'static str> {
        let mut out = Vec::new();
        loop {
            self.blanks();
            if self.rest().is_empty() {
                return Ok(out);
            }
            self.expect("$", "only variables are set in the data")?;
            let name = self.word()?;
            self.expect("=", "`=` is expected here")?;
            out.push((name, self.value(0)?));
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value<'a>, &'static str> {
        if depth > DEPTH {
            return Err("the data is nested too deeply");
        }
        if self.take("@{") {
            let mut fields = Vec::new();
            while !self.take("}") {
                let name = self.word()?;
                self.expect("=", "`=` is expected here")?;
                fields.push((name, self.value(depth + 1)?));
            }
            return Ok(Value::Table(fields));
        }
        if self.take("@(") {
            let mut items = Vec::new();
            while !self.take(")") {
                items.push(self.value(depth + 1)?);
                self.take(",");
            }
            return Ok(Value::List(items));
        }
        if self.take("(-join @(") {
            return self.joined().map(|text| Value::Text(Cow::Owned(text)));
        }
        self.quoted().map(Value::Text)
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, &'static str> {
        self.expect("'", "a text in single quotes is expected here")?;
        let start = self.at;
        let mut doubled = false;
        loop {
            let Some(end) = self.rest().find(['\'', '\r', '\n']) else { return Err("the text does not end") };
            self.at += end;
            if !self.rest().starts_with('\'') {
                return Err("the text does not end on its line");
            }
            self.at += 1;
            if !self.rest().starts_with('\'') {
                break;
            }
            doubled = true;
            self.at += 1;
        }
        let text = &self.text[start..self.at - 1];
        Ok(if doubled { Cow::Owned(text.replace("''", "'")) } else { Cow::Borrowed(text) })
    }

    /// `'ESPA', [char]0x00D1, 'A'))`.
    fn joined(&mut self) -> Result<String, &'static str> {
        let mut units: Vec<u16> = Vec::new();
        loop {
            if self.take("[char]0x") {
                let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let unit = digits.and_then(|d| u16::from_str_radix(d, 16).ok());
                units.push(unit.ok_or("four hexadecimal digits are expected here")?);
                self.at += 4;
            } else {
                units.extend(self.quoted()?.encode_utf16());
            }
            if self.take("))") {
                return String::from_utf16(&units).map_err(|_| "the text is no valid UTF-16");
            }
            self.expect(",", "`,` is expected here")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::literal::literal;
    use super::*;
    use proptest::prelude::*;

    fn values(data: &str) -> Result<Vec<(&str, Value<'_>)>, ReadError> {
        parse(data, &Script { before: "", data, offset: 0, after: "" })
    }

    #[test]
    fn the_template_has_its_marks() {
        let script = Script::split(TEMPLATE.text).unwrap();
        assert!(script.has_our_code());
        assert!(!script.before.contains("{{") && !script.after.contains("{{"), "everything that varies is data");
        assert!(!script.before.contains("{%") && !script.after.contains("{%"));
    }

    #[test]
    fn what_is_read() {
        let read = values("$A = 'x'\r\n$B = @('1', 'it''s'\n'2')\n$C = @(\n@{\n N = 'n'\n L = @()\n}\n)").unwrap();
        assert_eq!(read[0], ("A", Value::Text("x".into())));
        assert_eq!(read[1].1.texts().unwrap(), ["1", "it's", "2"]);
        let Value::List(tables) = &read[2].1 else { panic!("{read:?}") };
        assert_eq!(tables[0].get("N").unwrap().text(), Some("n"));
        assert_eq!(tables[0].get("L").unwrap().texts().unwrap().len(), 0);
    }

    #[test]
    fn what_is_refused() {
        for bad in [
            "$A = x",
            "$A = 'x",
            "$A = 'x\ny'",
            "$A = @('1'",
            "Get-Date",
            "$A = $(x)",
            "$A = \"x\"",
            "$A = @(@(@(@(@())))))",
        ] {
            assert!(values(bad).is_err(), "{bad}");
        }
        let error = values("$A = 'x'\n$B = !").unwrap_err();
        assert_eq!((error.line, error.column), (2, 6));
    }

    proptest! {
        #[test]
        fn every_literal_is_read_back(text: String) {
            let data = format!("$A = {}", literal(&text));
            prop_assert!(data.bytes().all(|b| (0x20..=0x7e).contains(&b)));
            let read = values(&data).unwrap();
            prop_assert_eq!(read[0].1.text(), Some(text.as_str()));
        }

        #[test]
        fn no_data_panics(text in "[$A=@(){}',xé\\[\\]0-9\\n -]{0,40}") {
            let _ = values(&text);
        }
    }
}
