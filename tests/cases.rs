//! Black-box cases: the files in `tests/cases/`, each a plain text of inputs, command lines and what comes out.
//!
//! A file holds cases, and a case starts with its title. Sections say what is there, what is run and what is expected:
//!
//! ```text
//! %%%% a title
//! %% file harden993.toml          what follows is the file's content
//! %% bytes list.txt               the same with \n, \r, \t, \\ and \xNN, and no line end of its own
//! %% directory d | special f | forbidden f
//! %% env NAME=value               %% stdin    %% terminal out    %% width 60
//! %% stdout closed | full         what the other end of standard output does
//! %% run check --strict           several in one case see each other's files; '…' holds blanks together
//! %% head 3                       of standard output, only so many lines are held against the case
//! %% stdout                       what was printed, or
//! %% json                         the one object that was printed, indented
//! %% stderr
//! %% wrote path                   each file that was written, with its content
//! %% exit 1
//! ```
//!
//! A last line `%%` says that the text before it has no line end. With `UPDATE_CASES=1` what comes out becomes what is
//! expected; read the difference before you commit it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use harden993::host::{Node, Ran, Recorded, Stream};
use harden993::program::{World, run};

/// A section: its heading without the `%% `, and the lines below it.
#[derive(Clone, Debug)]
struct Section {
    head: String,
    body: String,
}

impl Section {
    fn word(&self) -> (&str, &str) {
        self.head.split_once(' ').unwrap_or((&self.head, ""))
    }

    /// The body as it was meant: without the mark of a missing line end.
    fn text(&self) -> &str {
        self.body.strip_suffix("\n%%\n").unwrap_or(&self.body)
    }
}

#[derive(Debug)]
struct Case {
    title: String,
    sections: Vec<Section>,
}

fn parse(text: &str) -> (String, Vec<Case>) {
    let (mut preface, mut cases) = (String::new(), Vec::<Case>::new());
    for line in text.split_inclusive('\n') {
        let plain = line.trim_end();
        if let Some(title) = plain.strip_prefix("%%%% ") {
            cases.push(Case { title: title.to_owned(), sections: Vec::new() });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            preface.push_str(line);
            continue;
        };
        match (plain.strip_prefix("%% "), case.sections.last_mut()) {
            (Some(head), _) => case.sections.push(Section { head: head.to_owned(), body: String::new() }),
            (None, Some(section)) => section.body.push_str(line),
            (None, None) => assert!(plain.is_empty(), "{}: a line before the first section: {plain}", case.title),
        }
    }
    (preface, cases)
}

/// What standard output is connected with.
enum Out {
    Kept(Vec<u8>),
    Broken(io::ErrorKind),
}

impl Write for Out {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self {
            Self::Kept(kept) => kept.write(text),
            Self::Broken(kind) => Err((*kind).into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a case and writes it down anew, with what came out.
fn replay(case: &Case) -> String {
    let mut host = Recorded::default();
    let mut text = format!("%%%% {}\n", case.title);
    let mut out = Out::Kept(Vec::new());
    let mut sections = case.sections.iter().peekable();
    while let Some(section) = sections.next() {
        let (word, rest) = section.word();
        let put = |node| host.nodes.borrow_mut().insert(Path::new("/srv").join(rest), node);
        match word {
            "file" => drop(put(Node::File(section.text().into()))),
            "bytes" => drop(put(Node::File(unescape(section.body.trim_end())))),
            "directory" => drop(put(Node::Directory)),
            "special" => drop(put(Node::Special)),
            "forbidden" => drop(put(Node::Forbidden)),
            "env" => {
                let (name, value) = rest.split_once('=').expect("env NAME=value");
                host.vars.insert(name.to_owned(), value.to_owned());
            }
            "stdin" => host.stdin = section.text().into(),
            "terminal" => {
                host.terminals.insert(match rest {
                    "in" => Stream::In,
                    "out" => Stream::Out,
                    _ => Stream::Err,
                });
            }
            "width" => host.width = Some(rest.parse().expect("a number")),
            "program" => {
                let ran = Ran { code: Some(0), stdout: section.text().into(), stderr: Vec::new() };
                host.programs.insert(rest.to_owned(), ran);
            }
            "stdout" if rest == "closed" => out = Out::Broken(io::ErrorKind::BrokenPipe),
            "stdout" if rest == "full" => out = Out::Broken(io::ErrorKind::StorageFull),
            "run" => {
                show(&mut text, section);
                let head = sections.next_if(|s| s.word().0 == "head");
                if let Some(head) = head {
                    show(&mut text, head);
                }
                while sections
                    .next_if(|s| matches!(s.word().0, "stdout" | "json" | "stderr" | "wrote" | "exit"))
                    .is_some()
                {}
                let lines = head.map(|h| h.word().1.parse().expect("a number of lines"));
                text.push_str(&outcome(&host, &mut out, rest, lines));
                continue;
            }
            other => panic!("{}: no section is called {other}", case.title),
        }
        show(&mut text, section);
    }
    text
}

fn show(text: &mut String, section: &Section) {
    let _ = writeln!(text, "%% {}", section.head);
    if !section.body.trim().is_empty() {
        text.push_str(&section.body);
    }
}

/// Runs a command line and writes down what came out.
fn outcome(host: &Recorded, out: &mut Out, line: &str, head: Option<usize>) -> String {
    let before = host.nodes.borrow().clone();
    if let Out::Kept(kept) = out {
        kept.clear();
    }
    let mut err = Vec::new();
    let args = std::iter::once("harden993".to_owned()).chain(words(line));
    let code = run(args, &mut World { host, stdout: out, stderr: &mut err });
    let mut text = String::new();
    let printed = match &*out {
        Out::Kept(kept) => String::from_utf8(kept.clone()).expect("standard output is UTF-8"),
        Out::Broken(_) => String::new(),
    };
    match indented(&printed) {
        _ if head.is_some() => {
            body(&mut text, "stdout", &printed.split_inclusive('\n').take(head.unwrap_or(0)).collect::<String>());
        }
        Some(json) => body(&mut text, "json", &json),
        None => body(&mut text, "stdout", &printed),
    }
    body(&mut text, "stderr", &String::from_utf8(err).expect("standard error is UTF-8"));
    for (path, node) in host.nodes.borrow().iter().filter(|(p, n)| before.get(*p) != Some(n)) {
        let content = match node {
            Node::File(content) => String::from_utf8_lossy(content).into_owned(),
            other => format!("({other:?})\n"),
        };
        let name = path.strip_prefix("/srv").unwrap_or(path).display();
        let shown = if content.lines().count() > 60 { "(more than 60 lines)\n".to_owned() } else { content };
        let _ = write!(text, "%% wrote {name}\n{shown}");
    }
    let _ = writeln!(text, "%% exit {code}\n");
    text
}

/// A section with a text, if there is one.
fn body(text: &mut String, head: &str, content: &str) {
    if content.is_empty() {
        return;
    }
    let _ = write!(text, "%% {head}\n{}", content.replace('\u{1b}', "␛"));
    if !content.ends_with('\n') {
        text.push_str("\n%%\n");
    }
}

/// Exactly one JSON object on one line, indented. The order of its keys is a part of what is promised and is kept.
fn indented(text: &str) -> Option<String> {
    let line = text.strip_suffix('\n').filter(|t| t.starts_with('{') && !t.contains('\n'))?;
    let object: Ordered = serde_json::from_str(line).ok()?;
    Some(serde_json::to_string_pretty(&object).ok()? + "\n")
}

/// A JSON value whose keys keep their order.
enum Ordered {
    Leaf(serde_json::Value),
    List(Vec<Ordered>),
    Map(Vec<(String, Ordered)>),
}

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Ordered;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, v: bool) -> Result<Ordered, E> {
                Ok(Ordered::Leaf(v.into()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Ordered, E> {
                Ok(Ordered::Leaf(v.into()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Ordered, E> {
                Ok(Ordered::Leaf(v.into()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Ordered, E> {
                Ok(Ordered::Leaf(v.into()))
            }
            fn visit_str<E>(self, v: &str) -> Result<Ordered, E> {
                Ok(Ordered::Leaf(v.into()))
            }
            fn visit_unit<E>(self) -> Result<Ordered, E> {
                Ok(Ordered::Leaf(serde_json::Value::Null))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Ordered, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Ordered::List(list))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    list.push(entry);
                }
                Ok(Ordered::Map(list))
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl serde::Serialize for Ordered {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leaf(value) => value.serialize(s),
            Self::List(list) => s.collect_seq(list),
            Self::Map(list) => s.collect_map(list.iter().map(|(k, v)| (k, v))),
        }
    }
}

/// A command line as words: blanks part them, single quotes hold them together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Text with `\n`, `\r`, `\t`, `\\` and `\xNN` as bytes.
fn unescape(text: &str) -> Vec<u8> {
    let (mut out, bytes) = (Vec::new(), text.as_bytes());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'\\').then(|| bytes.get(i + 1)).flatten();
        let (byte, length) = match escaped {
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(b'\\') => (b'\\', 2),
            Some(b'x') => (u8::from_str_radix(&text[i + 2..i + 4], 16).expect("\\xNN"), 4),
            _ => (bytes[i], 1),
        };
        out.push(byte);
        i += length;
    }
    out
}

#[test]
fn every_case_comes_out_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).expect("tests/cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "txt") {
            files.insert(path.clone(), std::fs::read_to_string(&path).expect("UTF-8"));
        }
    }
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in files {
        let (preface, cases) = parse(&text);
        let written: Vec<&str> = text[preface.len()..].split_inclusive("%%%% ").collect();
        count += cases.len();
        let replayed: Vec<String> = cases.iter().map(replay).collect();
        for ((case, now), before) in cases.iter().zip(&replayed).zip(written.iter().skip(1)) {
            let before = format!("%%%% {}", before.trim_end_matches("%%%% "));
            if *now != before {
                let difference = similar::TextDiff::from_lines(before.as_str(), now.as_str());
                wrong.push(format!("{}: {}\n{}", path.display(), case.title, difference.unified_diff()));
            }
        }
        if update {
            std::fs::write(&path, preface + &replayed.concat()).expect("written");
        }
    }
    assert!(count > 0, "there are cases");
    assert!(update || wrong.is_empty(), "{}", wrong.join("\n"));
}
