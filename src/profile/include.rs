//! Every file of a profile, read once and put in order: a file before those that it includes, and of two includes the
//! later one before the earlier.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::diagnostic::{FileId, Files, Place, codes};
use crate::policy::TargetSpec;

use super::parse::{Role, parse};
use super::sheet::Sheet;
use super::sink::Sink;
use super::words::harmless;
use super::{Origin, Store};

/// The files of a profile that hold TOML.
pub(super) struct Gathered {
    /// The nearest first: of two files that write the same key, the one that stands earlier wins.
    pub(super) sheets: Vec<Sheet>,
    /// Whether some file is missing or could only be read in part.
    pub(super) broken: bool,
}

/// Where the walk through the includes is.
struct Frame {
    sheet: usize,
    next: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Done,
}

/// Reads a profile and everything that it includes.
pub(super) fn gather(
    origin: &Origin,
    specs: &[TargetSpec],
    store: &impl Store,
    files: &mut Files,
    sink: &mut Sink,
) -> Gathered {
    let (root, known) = match origin {
        Origin::Text { text, dir } => (files.add("<stdin>".to_owned(), dir.join("<stdin>"), Some(text.clone())), None),
        Origin::File(path) => {
            let id = match store.read(path) {
                Ok(content) => files.add(display(path), path.clone(), Some(content)),
                Err(e) => {
                    let id = files.add(display(path), path.clone(), None);
                    sink.report(&codes::UNREADABLE_FILE, id, 0..0, |p| {
                        p.say(format!("the profile cannot be read: {e}"))
                            .help("name it by `--profile`, or write one with `harden993 init`")
                    });
                    return Gathered { sheets: Vec::new(), broken: true };
                }
            };
            (id, Some(store.identity(path)))
        }
    };
    let mut states: HashMap<PathBuf, State> = known.iter().map(|k| (k.clone(), State::Open)).collect();
    let mut sheets = vec![parse(root, Role::Root, files.get(root), specs, sink)];
    let mut identities = vec![known];
    let mut broken = false;
    // Leaving a file after everything that it includes, and turning that order round, puts each before its includes
    // however they cross. The stack is explicit because ten thousand files can include each other in a row.
    let mut order = Vec::new();
    let mut stack = vec![Frame { sheet: 0, next: 0 }];
    while let Some(frame) = stack.last_mut() {
        let sheet = &sheets[frame.sheet];
        let Some(include) = sheet.include.get(frame.next).cloned() else {
            order.push(frame.sheet);
            if let Some(identity) = &identities[frame.sheet] {
                states.insert(identity.clone(), State::Done);
            }
            stack.pop();
            continue;
        };
        frame.next += 1;
        let path = beside(files, sheet.file, &include.value);
        let identity = store.identity(&path);
        match states.get(&identity) {
            Some(State::Done) => {}
            Some(State::Open) => {
                let Place { file, span } = include.place;
                sink.report(&codes::INCLUDE_CYCLE, file, span, |p| {
                    p.say(format!("`{}` is being read already: the files include each other", display(&path)))
                        .help("take one of these includes away")
                });
            }
            None => match read(&path, store, files, sink, &include.place) {
                Some(id) => {
                    sheets.push(parse(id, Role::Included, files.get(id), specs, sink));
                    states.insert(identity.clone(), State::Open);
                    identities.push(Some(identity));
                    stack.push(Frame { sheet: sheets.len() - 1, next: 0 });
                }
                None => broken = true,
            },
        }
    }
    broken |= sheets.iter().any(|s| s.broken);
    let mut slots: Vec<Option<Sheet>> = sheets.into_iter().map(Some).collect();
    let sheets = order.into_iter().rev().filter_map(|i| slots[i].take()).collect();
    Gathered { sheets, broken }
}

/// Reads a file that another one names at a place.
pub(super) fn read(
    path: &Path,
    store: &impl Store,
    files: &mut Files,
    sink: &mut Sink,
    named: &Place,
) -> Option<FileId> {
    match store.read(path) {
        Ok(content) => Some(files.add(display(path), path.to_owned(), Some(content))),
        Err(e) => {
            sink.report(&codes::UNREADABLE_FILE, named.file, named.span.clone(), |p| {
                p.say(format!("`{}` cannot be read: {e}", display(path)))
                    .help("a path is relative to the file that names it")
            });
            None
        }
    }
}

/// A path that a file names, relative to that file.
pub(super) fn beside(files: &Files, file: FileId, path: &str) -> PathBuf {
    files.get(file).path.parent().unwrap_or(Path::new("")).join(path)
}

/// How messages name a path.
fn display(path: &Path) -> String {
    let text = path.to_string_lossy();
    harmless(text.strip_prefix("./").unwrap_or(&text))
}
