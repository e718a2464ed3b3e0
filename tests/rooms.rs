//! Holds the table of rooms in `docs/design.md` against the code: who imports whom, and who prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A room as the table describes it: its floor and what it may import.
struct Room {
    floor: u32,
    imports: BTreeSet<String>,
}

fn table() -> BTreeMap<String, Room> {
    let page = fs::read_to_string(root().join("docs/design.md")).expect("docs/design.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [floor, room, _, imports] = cells[..] else { return None };
        let floor = floor.parse().ok()?;
        let imports = imports.split(", ").filter(|i| !i.is_empty()).map(str::to_owned).collect();
        Some((room.trim_matches('`').to_owned(), Room { floor, imports }))
    });
    rows.collect()
}

/// Every source file with the room that it is in.
fn sources() -> Vec<(String, PathBuf)> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    let room = |path: &Path| {
        let first = path.strip_prefix(&src).expect("below src").components().next().expect("a name");
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    };
    files.into_iter().map(|path| (room(&path), path)).filter(|(r, _)| r != "lib" && r != "main").collect()
}

/// The code of a file without its unit tests, which may look into any room, and without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("UTF-8");
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The rooms that a text names after `crate::`.
fn imported(code: &str) -> BTreeSet<String> {
    let names = code.split("crate::").skip(1).filter_map(|rest| {
        let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        (!name.is_empty()).then_some(name)
    });
    names.collect()
}

#[test]
fn rooms_import_only_what_the_table_lets_them() {
    let table = table();
    let rooms: BTreeSet<String> = sources().into_iter().map(|(room, _)| room).collect();
    assert_eq!(rooms, table.keys().cloned().collect(), "the table names every room");
    for (name, room) in &table {
        for import in &room.imports {
            assert!(table[import].floor < room.floor, "{name} imports {import}, which is not on a lower floor");
        }
    }
    let mut wrong = Vec::new();
    for (room, path) in sources() {
        if path.file_name().is_some_and(|n| n == "tests.rs") {
            continue;
        }
        for import in imported(&code(&path)) {
            if import != room && table.contains_key(&import) && !table[&room].imports.contains(&import) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_report_room_prints() {
    let mut wrong = Vec::new();
    for (room, path) in sources() {
        let code = code(&path);
        let streams = ["println!", "print!(", "eprint!(", "dbg!(", "stdout().lock", "stderr().lock", "stdout().write"];
        for word in streams {
            // The guardian of an apply tells the process that started it, through its output, that it is ready.
            let guardian = path.ends_with("host/process.rs") && word == "stdout().lock";
            if room != "report" && !guardian && code.contains(word) {
                wrong.push(format!("{} has {word}", path.display()));
            }
        }
        if !["report"].contains(&room.as_str()) && (code.contains("anstyle") || code.contains("\\x1b[")) {
            wrong.push(format!("{} knows colour", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_read() {
    let table = table();
    assert!(table.len() > 8);
    assert_eq!(imported("use crate::net::{A, B};\npub(crate) fn f(x: crate::access::Q)"), {
        ["net", "access"].map(str::to_owned).into()
    });
}
