//! A page as text for people: columns, colour, and nothing that could command a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::commands::{Block, Failure, Line, Page, Role, is_hidden};

use super::problems;

/// How each meaning looks.
fn style(role: Role) -> Style {
    let color = |c: AnsiColor| Style::new().fg_color(Some(c.into()));
    match role {
        Role::Plain => Style::new(),
        Role::Strong => Style::new().bold(),
        Role::Dim => Style::new().dimmed(),
        Role::Good | Role::Added => color(AnsiColor::Green),
        Role::Warn => color(AnsiColor::Yellow).bold(),
        Role::Bad => color(AnsiColor::Red).bold(),
        Role::Removed => color(AnsiColor::Red),
        Role::AddedWords => color(AnsiColor::Green).bold().underline(),
        Role::RemovedWords => color(AnsiColor::Red).bold().underline(),
    }
}

/// A page as text.
pub(super) fn page(page: &Page, color: bool, width: usize) -> Cow<'_, str> {
    // A rendering may be large, and is the whole page.
    if let [Block::Verbatim(text)] = &page.blocks[..] {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for block in &page.blocks {
        match block {
            Block::Line(l) => {
                line(&mut out, l, color);
                end(&mut out);
            }
            Block::Table(rows) => table(&mut out, rows, color),
            Block::Problems(list) => out.push_str(&problems::problems(list, color, width)),
            Block::Verbatim(text) => out.push_str(text),
        }
    }
    Cow::Owned(out)
}

/// Ends a line, without blanks at its end.
fn end(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn line(out: &mut String, line: &Line, color: bool) {
    for text in &line.0 {
        let style = if color { style(text.role) } else { Style::new() };
        let _ = write!(out, "{style}");
        visible(out, &text.text);
        let _ = write!(out, "{style:#}");
    }
}

fn table(out: &mut String, rows: &[Vec<Line>], color: bool) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(Line::width).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            line(out, cell, color);
            if i + 1 < row.len() {
                out.extend(std::iter::repeat_n(' ', widths[i] - cell.width() + 2));
            }
        }
        end(out);
    }
}

/// Adds text with everything made visible that could command a terminal or turn the reading direction.
pub(super) fn visible(out: &mut String, text: &str) {
    for c in text.chars() {
        if is_hidden(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
}

/// A line that starts with a word such as `error`: lines after the first stand below it.
pub(super) fn labelled(role: Role, label: &str, message: &str, color: bool) -> String {
    let mut out = String::new();
    for (i, text) in message.lines().enumerate() {
        let l = if i == 0 {
            Line::new().with(role, label).strong(": ").plain(text)
        } else {
            Line::new().plain("  ").plain(text)
        };
        line(&mut out, &l, color);
        end(&mut out);
    }
    out
}

/// Why a command did not come to a report.
pub(super) fn failure(failure: &Failure, color: bool, width: usize) -> String {
    let mut out = failure.problems.as_ref().map_or_else(String::new, |p| problems::problems(p, color, width));
    out += &labelled(Role::Bad, "error", &failure.message, color);
    if let Some(help) = &failure.help {
        out.push_str(&labelled(Role::Good, "help", help, color));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_command_a_terminal() {
        let mut hostile = Page::new();
        hostile.line("a\u{1b}]0;title\u{7}b\u{202e}c\rd\u{85}");
        assert_eq!(page(&hostile, false, 100), "a\\u{1b}]0;title\\u{7}b\\u{202e}c\\u{d}d\\u{85}\n");
    }

    #[test]
    fn cells_stand_in_columns_whatever_their_colour() {
        let mut columns = Page::new();
        columns.table(vec![
            vec![Line::new().with(Role::Good, "accept"), "a".into()],
            vec![Line::new().with(Role::Bad, "drop"), "bcd".into(), "".into()],
        ]);
        assert_eq!(page(&columns, false, 100), "accept  a\ndrop    bcd\n");
        let plain = anstream::adapter::strip_str(&page(&columns, true, 100)).to_string();
        assert_eq!(plain.replace("  \n", "\n"), "accept  a\ndrop    bcd\n");
    }
}
