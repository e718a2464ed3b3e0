//! `man`: the manual pages, made from the same definitions as `--help`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::host::Write;

use super::{Cli, Code, Context, Exit, Failure, Line, Page, Report, Verb};

/// Print a manual page, or write all of them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  harden993 man check | man -l -\n  harden993 man --out /usr/local/share/man/man1")]
pub struct Man {
    /// The command whose page is printed; without it the page of harden993 itself
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    subcommand: Option<String>,

    /// Write every page into this folder, which is made if it is missing
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
}

/// The pages, and where they were written.
#[derive(Debug, Serialize)]
pub struct Manual {
    out: Option<PathBuf>,
    pages: Vec<ManualPage>,
}

#[derive(Debug, Serialize)]
struct ManualPage {
    name: String,
    content: String,
}

impl Verb for Man {
    type Report = Manual;

    fn run(self, cx: &Context<'_>) -> Result<Manual, Failure> {
        let mut pages = pages()?;
        let Some(out) = self.out else {
            let wanted = self.subcommand.as_ref().map_or("harden993.1".to_owned(), |c| format!("harden993-{c}.1"));
            pages.retain(|p| p.name == wanted);
            if pages.is_empty() {
                let name = self.subcommand.unwrap_or_default();
                return Err(Failure::wrong(Code::Argument, format!("there is no command `{name}`"))
                    .help("`harden993 --help` lists the commands"));
            }
            return Ok(Manual { out: None, pages });
        };
        cx.host.make_folder(&out, 0o755)?;
        let paths: Vec<PathBuf> = pages.iter().map(|p| out.join(&p.name)).collect();
        let files: Vec<Write<'_>> = pages
            .iter()
            .zip(&paths)
            .map(|(page, path)| Write { path, content: page.content.as_bytes(), mode: 0o644 })
            .collect();
        cx.host.write(&files)?;
        Ok(Manual { out: Some(out), pages })
    }
}

/// Every page: of harden993 and of each command.
fn pages() -> Result<Vec<ManualPage>, Failure> {
    let mut definition = Cli::definition().disable_help_subcommand(true);
    definition.build();
    let commands = definition.get_subcommands().cloned().collect::<Vec<_>>();
    let own = commands.into_iter().map(|c| {
        let name = format!("harden993-{}", c.get_name());
        // The page's title is the command's name as it is installed: harden993-check(1).
        c.display_name(name.clone()).bin_name(name.replacen('-', " ", 1)).version(env!("CARGO_PKG_VERSION"))
    });
    std::iter::once(definition.clone()).chain(own).map(page).collect()
}

fn page(command: clap::Command) -> Result<ManualPage, Failure> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut content = Vec::new();
    clap_mangen::Man::new(command)
        .title(name.to_uppercase())
        .manual("harden993")
        .source(concat!("harden993 ", env!("CARGO_PKG_VERSION")))
        .render(&mut content)
        .map_err(|e| Failure::wrong(Code::Defect, format!("the page of {name} could not be written: {e}")))?;
    Ok(ManualPage { name: format!("{name}.1"), content: String::from_utf8_lossy(&content).into_owned() })
}

impl Report for Manual {
    fn exit(&self) -> Exit {
        Exit::Clean
    }

    fn page(self) -> Page {
        match self.out {
            None => Page::verbatim(self.pages.into_iter().map(|p| p.content).collect::<String>()),
            Some(out) => {
                let mut page = Page::new();
                for written in self.pages {
                    page.line(Line::from(out.join(written.name).display()));
                }
                page
            }
        }
    }
}
