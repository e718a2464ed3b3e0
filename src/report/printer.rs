//! Prints: findings to standard output, everything else to standard error.

use std::io::{self, Write};

use crate::commands::{Color, Exit, Failure, Format, Note, Options, Role, Shown};
use crate::host::{Host, Stream};

use super::{human, json};

/// What is known of how to print. It is known before the command line is understood, because that can fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// The form of the report.
    pub format: Format,
    /// When there is colour.
    pub color: Color,
    /// Whether notes are left out.
    pub quiet: bool,
    /// Whether details are shown.
    pub verbose: bool,
}

impl From<&Options> for Look {
    fn from(o: &Options) -> Self {
        Self { format: o.format, color: o.color, quiet: o.quiet, verbose: o.verbose }
    }
}

/// Prints to the two streams.
pub struct Printer<'a> {
    /// How.
    pub look: Look,
    host: &'a dyn Host,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Printer<'a> {
    /// A printer.
    pub fn new(host: &'a dyn Host, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { look: Look::default(), host, out, err }
    }

    /// Whether a stream gets colour.
    fn color(&self, stream: Stream) -> bool {
        match self.look.color {
            Color::Always => true,
            Color::Never => false,
            // no-color.org: set and not empty means none.
            Color::Auto => {
                self.host.is_terminal(stream)
                    && self.host.var("NO_COLOR").is_none_or(|v| v.is_empty())
                    && self.host.var("TERM").is_none_or(|t| t != "dumb")
            }
        }
    }

    /// The width to which marked sources are cut.
    fn width(&self) -> usize {
        self.host.width().unwrap_or(140).max(40)
    }

    /// Prints a report. The exit code is the report's own, unless the report could not be printed.
    pub fn report(&mut self, exit: Exit, shown: &Shown) -> Exit {
        let written = match shown {
            Shown::Page(page) => {
                let text = human::page(page, self.color(Stream::Out), self.width());
                self.out.write_all(text.as_bytes())
            }
            Shown::Json(object) => writeln!(self.out, "{object}"),
        };
        self.printed(exit, written)
    }

    /// Prints why there is no report: for people on standard error, for programs as the one object.
    pub fn failure(&mut self, failure: &Failure) -> Exit {
        let color = self.color(Stream::Err);
        let text = human::failure(failure, color, self.width());
        let written = match self.look.format {
            Format::Json => writeln!(self.out, "{}", json::failure(failure)),
            Format::Human | Format::Markdown => Ok(()),
        };
        // Nothing is left to be done where even this cannot be said.
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
        self.printed(failure.exit, written)
    }

    /// Prints a text that was asked for instead of a report: the help, the version.
    pub fn text(&mut self, text: &clap::builder::StyledStr) -> Exit {
        let written = match self.look.format {
            Format::Json => writeln!(self.out, "{}", json::text(&text.to_string())),
            Format::Human if self.color(Stream::Out) => write!(self.out, "{}", text.ansi()),
            Format::Human | Format::Markdown => write!(self.out, "{text}"),
        };
        self.printed(Exit::Clean, written)
    }

    /// Prints what is wrong with the command line, in clap's words for people.
    pub fn usage(&mut self, text: &clap::builder::StyledStr, failure: &Failure) -> Exit {
        if self.look.format == Format::Json {
            return self.failure(failure);
        }
        let color = self.color(Stream::Err);
        let shown = if color { text.ansi().to_string() } else { text.to_string() };
        let _ = self.err.write_all(shown.as_bytes()).and_then(|()| self.err.flush());
        failure.exit
    }

    /// Says something while a command works.
    pub fn note(&mut self, note: &Note) {
        let color = self.color(Stream::Err);
        let text = match note {
            Note::Detail(text) if self.look.verbose => human::labelled(Role::Dim, "detail", text, color),
            Note::Note(text) if !self.look.quiet => human::labelled(Role::Strong, "note", text, color),
            Note::Warning(text) => human::labelled(Role::Warn, "warning", text, color),
            Note::Question(text) => format!("{text} "),
            Note::Countdown(text) if text.is_empty() => "\n".to_owned(),
            // Blanks wipe what is left of a longer line, on every terminal.
            Note::Countdown(text) => format!("\r{text:<76}\r{text}"),
            Note::Page(page) => human::page(page, color, self.width()).into_owned(),
            Note::Detail(_) | Note::Note(_) => return,
        };
        // What is said on the way is not worth failing for.
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }

    /// A reader that has gone is a quiet end; a full disk is not.
    fn printed(&mut self, exit: Exit, written: io::Result<()>) -> Exit {
        match written.and_then(|()| self.out.flush()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                let text = human::labelled(Role::Bad, "error", &format!("standard output: {e}"), false);
                let _ = self.err.write_all(text.as_bytes());
                exit.max(Exit::Host)
            }
            _ => exit,
        }
    }
}
