//! The program as a function: arguments and a world in, an exit code out.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::Write;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use crate::commands::{Cli, Code, Color, Context, Failure, Format, is_hidden};
use crate::host::Host;
use crate::report::{Look, Printer};

/// Everything that the program can see and touch, so that many runs fit into one process.
pub struct World<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// Where findings go.
    pub stdout: &'a mut dyn Write,
    /// Where everything else goes.
    pub stderr: &'a mut dyn Write,
}

/// Runs the program. The first argument is its own name.
///
/// ```
/// use harden993::{host::Recorded, program::{World, run}};
/// let (mut out, mut err) = (Vec::new(), Vec::new());
/// let mut world = World { host: &Recorded::default(), stdout: &mut out, stderr: &mut err };
/// assert_eq!(run(["harden993", "--version"], &mut world), 0);
/// assert!(out.starts_with(b"harden993 "));
/// ```
pub fn run<T: Into<OsString> + Clone>(args: impl IntoIterator<Item = T>, world: &mut World<'_>) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let mut printer = Printer::new(world.host, world.stdout, world.stderr);
    printer.look = glance(&args);
    let width = world.host.width().unwrap_or(100);
    let definition = Cli::definition().term_width(width.min(100));
    let cli = definition.try_get_matches_from(&args).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match cli {
        Ok(cli) => cli,
        Err(e) => {
            // clap quotes arguments as they are, and drops what commands a terminal only together with its own colours.
            if args.iter().any(|a| a.to_string_lossy().contains(is_hidden)) {
                printer.look.color = Color::Never;
            }
            return misunderstood(&e, &mut printer).code();
        }
    };
    printer.look = Look::from(&cli.options);
    let printer = RefCell::new(printer);
    let say = |note: &_| printer.borrow_mut().note(note);
    let cx = Context { host: world.host, options: &cli.options, say: &say };
    let outcome = cli.command.run(&cx);
    let mut printer = printer.borrow_mut();
    match outcome {
        Ok((exit, shown)) => printer.report(exit, &shown),
        Err(failure) => printer.failure(&failure),
    }
    .code()
}

/// The help and the version, which were asked for, and everything that is wrong with a command line.
fn misunderstood(error: &clap::Error, printer: &mut Printer<'_>) -> crate::commands::Exit {
    let text = error.render();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return printer.text(&text);
    }
    let missing = || Failure::wrong(Code::Argument, "a command is missing").help("`harden993 --help` lists them");
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => return printer.usage(&text, &missing()),
        // clap's message would list the command that is hidden, too.
        ErrorKind::MissingSubcommand => return printer.failure(&missing()),
        _ => {}
    }
    // clap's message: what is wrong, then a tip or the usage, in paragraphs.
    let plain = text.to_string();
    let (message, rest) = plain.split_once("\n\n").unwrap_or((&plain, ""));
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let help = rest.trim().trim_end_matches("For more information, try '--help'.").trim();
    let help = if help.is_empty() { "`harden993 --help` tells the arguments" } else { help };
    let help = help.strip_prefix("tip: ").unwrap_or(help);
    printer.usage(&text, &Failure::wrong(Code::Argument, message).help(help))
}

/// The form and the colour that a command line asks for, whatever else is wrong with it.
fn glance(args: &[OsString]) -> Look {
    let mut look = Look::default();
    let words: Vec<&str> = args.iter().skip(1).filter_map(|a| a.to_str()).take_while(|a| *a != "--").collect();
    for (i, word) in words.iter().enumerate() {
        let value = |name| match word.strip_prefix(name) {
            Some("") => words.get(i + 1).copied(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        match value("--format") {
            Some("json") => look.format = Format::Json,
            Some(_) => look.format = Format::Human,
            None => {}
        }
        match value("--color") {
            Some("always") => look.color = Color::Always,
            Some("never") => look.color = Color::Never,
            _ => {}
        }
    }
    look
}
