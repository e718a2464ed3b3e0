//! What every command is: arguments that run in a context and come to a report.

use serde::Serialize;

use crate::host::Host;

use super::{Exit, Failure, Format, Options, Page};

/// What a command is given beside its own arguments.
pub struct Context<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// The options that every command takes.
    pub options: &'a Options,
    /// Says something on standard error at once; see [`Note`].
    pub say: &'a dyn Fn(&Note),
}

/// Something that is said while a command works. It goes to standard error and is never part of a report.
#[derive(Debug)]
pub enum Note {
    /// What was read or decided on the way: shown with `--verbose`.
    Detail(String),
    /// What a user should know: not shown with `--quiet`.
    Note(String),
    /// What a user must know: always shown.
    Warning(String),
    /// What must be read before a question is answered: always shown.
    Page(Page),
    /// A question: always shown, and the answer stands behind it.
    Question(String),
    /// What takes the place of the line that the last one of these wrote; an empty one ends it. Always shown.
    Countdown(String),
}

impl Context<'_> {
    /// Says what was read or decided on the way.
    pub fn detail(&self, text: impl Into<String>) {
        (self.say)(&Note::Detail(text.into()));
    }

    /// Says what a user should know.
    pub fn note(&self, text: impl Into<String>) {
        (self.say)(&Note::Note(text.into()));
    }

    /// Says what a user must know.
    pub fn warn(&self, text: impl Into<String>) {
        (self.say)(&Note::Warning(text.into()));
    }

    /// Asks something; the answer is read from standard input.
    pub fn ask(&self, question: impl Into<String>) {
        (self.say)(&Note::Question(question.into()));
    }

    /// Says how long something still waits, in the place of what was last said so; an empty text ends the line.
    pub fn count(&self, text: impl Into<String>) {
        (self.say)(&Note::Countdown(text.into()));
    }

    /// Shows what must be read before a question is answered.
    pub fn show(&self, page: Page) {
        (self.say)(&Note::Page(page));
    }
}

/// A command.
pub trait Verb: clap::Args {
    /// What it comes to.
    type Report: Report;

    /// Does it.
    fn run(self, cx: &Context<'_>) -> Result<Self::Report, Failure>;
}

/// What a command comes to. It is serialised as the object of `--format json`; `schema` is put in front of its fields.
pub trait Report: Serialize + Sized {
    /// How the command ends.
    fn exit(&self) -> Exit;

    /// What it says to people.
    fn page(self) -> Page;

    /// Whether there is a form for a comment on a pull request, [`Report::markdown`].
    const MARKDOWN: bool = false;

    /// The report as a comment on a pull request.
    fn markdown(&self) -> String {
        String::new()
    }

    /// The object for programs.
    fn json(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Object<'a, R> {
            schema: u8,
            #[serde(flatten)]
            report: &'a R,
        }
        serde_json::to_string(&Object { schema: 1, report: self })
    }
}

/// A report in the one form that was asked for.
#[derive(Debug)]
pub enum Shown {
    /// For people.
    Page(Page),
    /// For programs: one object.
    Json(String),
}

impl Shown {
    /// What a command comes to, in a form. A form that it has not is refused before it does anything.
    pub(super) fn run<V: Verb>(verb: V, cx: &Context<'_>) -> Result<(Exit, Self), Failure> {
        let format = cx.options.format;
        if format == Format::Markdown && !V::Report::MARKDOWN {
            return Err(Failure::wrong(super::Code::Argument, "this command has no report in the form `markdown`")
                .help("use `--format human` or `--format json`"));
        }
        Self::of(verb.run(cx)?, format)
    }

    /// The report in a form.
    fn of(report: impl Report, format: Format) -> Result<(Exit, Self), Failure> {
        let exit = report.exit();
        let shown = match format {
            Format::Human => Self::Page(report.page()),
            Format::Markdown => Self::Page(Page::verbatim(report.markdown())),
            Format::Json => Self::Json(report.json().map_err(|e| {
                Failure::wrong(super::Code::Defect, format!("the report could not be written as JSON: {e}"))
            })?),
        };
        Ok((exit, shown))
    }
}

/// The list of commands: a module and the type in it, in the order of the help.
macro_rules! verbs {
    ($($module:ident: $name:ident),+ $(,)?) => {
        $(mod $module;)+

        /// A command with its arguments.
        #[derive(Debug, clap::Subcommand)]
        pub enum Command {
            $(#[allow(missing_docs)] $name($module::$name)),+
        }

        impl Command {
            /// Runs the command and brings its report into the form that was asked for.
            ///
            /// # Errors
            /// Why it did not come to a report.
            pub fn run(self, cx: &Context<'_>) -> Result<(Exit, Shown), Failure> {
                match self {
                    $(Self::$name(verb) => Shown::run(verb, cx)),+
                }
            }
        }
    };
}

pub(super) use verbs;
