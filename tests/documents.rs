//! Holds what the documentation shows against the program: every `console` block is run, and must print what stands there.
//!
//! In such a block a line that starts with `$ ` is a command, run by `sh` at the root of the project with the built program
//! in its path; the lines up to the next command are what it prints, on both streams as a terminal shows them. A line `…`
//! stands for any number of lines. Commands that change a host belong into `sh` blocks, which are not run.
//! With `UPDATE_DOCUMENTS=1` set, the blocks without `…` are rewritten as the program has it.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and every page below `docs/`.
fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "md") {
                out.push(path);
            }
        }
    }
    let mut out = vec![root().join("README.md")];
    walk(&root().join("docs"), &mut out);
    out.sort();
    out
}

/// Runs a command as a terminal would, after one that ended with `before`: what it prints, and its exit code.
fn run(command: &str, before: i32) -> (String, i32) {
    let program = Path::new(env!("CARGO_BIN_EXE_harden993"));
    let mut path = OsString::from(program.parent().expect("a folder"));
    path.push(":/usr/bin:/bin");
    let mut both = tempfile::tempfile().expect("a temporary file");
    let stream = || Stdio::from(both.try_clone().expect("a second handle"));
    let status = Command::new("sh")
        .args(["-c", &format!("(exit {before}); {command}")])
        .current_dir(root())
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(stream())
        .stderr(stream())
        .status()
        .expect("sh runs");
    let mut text = String::new();
    both.rewind().expect("a seekable file");
    both.read_to_string(&mut text).expect("UTF-8");
    (text, status.code().unwrap_or(-1))
}

/// Whether a text is what is shown, in which a line `…` stands for any lines.
fn matches(shown: &[&str], text: &[&str]) -> bool {
    match shown.split_first() {
        None => text.is_empty(),
        Some((&"…", rest)) => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        Some((line, rest)) => text.split_first().is_some_and(|(first, others)| first == line && matches(rest, others)),
    }
}

/// The page as it should be, and how many commands it shows.
fn checked(page: &str, problems: &mut Vec<String>) -> (String, usize) {
    let mut out: Vec<String> = Vec::new();
    let mut commands = 0;
    let mut code = 0;
    let mut lines = page.lines().peekable();
    let mut inside = false;
    while let Some(line) = lines.next() {
        out.push(line.to_owned());
        if line.starts_with("```") {
            inside = line == "```console";
            code = 0;
        }
        let Some(command) = line.strip_prefix("$ ").filter(|_| inside) else { continue };
        commands += 1;
        let mut shown = Vec::new();
        while let Some(next) = lines.next_if(|l| !l.starts_with("```") && !l.starts_with("$ ")) {
            shown.push(next);
        }
        let (text, exit) = run(command, code);
        code = exit;
        let printed: Vec<&str> = text.lines().collect();
        if matches(&shown, &printed) {
            out.extend(shown.into_iter().map(str::to_owned));
        } else {
            problems.push(format!("`{command}` prints:\n{text}\nbut the page shows:\n{}\n", shown.join("\n")));
            let kept = if shown.contains(&"…") { shown } else { printed };
            out.extend(kept.into_iter().map(str::to_owned));
        }
    }
    (out.join("\n") + "\n", commands)
}

#[test]
fn the_pages_show_what_the_program_prints() {
    let mut problems = Vec::new();
    let mut commands = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).expect("a page");
        let before = problems.len();
        let (right, found) = checked(&page, &mut problems);
        commands += found;
        if problems.len() > before && std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            fs::write(&path, right).expect("a writable page");
        }
        for problem in &mut problems[before..] {
            problem.insert_str(0, &format!("{}: ", path.display()));
        }
    }
    assert!(problems.is_empty(), "{} of {commands} commands differ:\n{}", problems.len(), problems.join("\n"));
    assert!(commands > 5, "only {commands} commands are shown");
}

#[test]
fn the_pages_link_to_what_exists() {
    for path in pages() {
        let page = fs::read_to_string(&path).expect("a page");
        for (_, rest) in page.match_indices("](").map(|(at, _)| page.split_at(at + 2)) {
            let link = rest.split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") {
                continue;
            }
            let aim = path.parent().expect("a folder").join(link);
            assert!(aim.exists(), "{}: {link} does not exist", path.display());
        }
    }
}

#[test]
fn an_ellipsis_stands_for_any_lines() {
    assert!(matches(&["a", "…", "d"], &["a", "b", "c", "d"]));
    assert!(matches(&["a", "…"], &["a"]));
    assert!(!matches(&["a", "…", "d"], &["a", "b"]));
    assert!(!matches(&["a"], &["a", "b"]));
}
