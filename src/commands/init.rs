//! `init`: a starter profile, commented, to be filled in.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::host::Write;

use super::profile::{PLACES, VARIABLE};
use super::{Code, Context, Exit, Failure, Page, Report, Verb};

/// Write a commented starter profile
#[derive(Debug, Args)]
#[command(after_long_help = "\
The profile goes to --profile, else to the file that HARDEN993_PROFILE names, else to ./harden993.toml; `--profile -` \
prints it. A file that is there is never overwritten.

Examples:
  harden993 init
  harden993 init --profile /etc/harden993/profile.toml
  harden993 init --profile - | less")]
pub struct Init {}

/// A starter profile.
#[derive(Debug, Serialize)]
pub struct Started {
    path: Option<PathBuf>,
    content: &'static str,
}

/// The starter profile. It is valid; its warnings say what is left to be filled in.
const STARTER: &str = include_str!("init.toml");

impl Verb for Init {
    type Report = Started;

    fn run(self, cx: &Context<'_>) -> Result<Started, Failure> {
        let named = cx.options.profile.clone();
        let named = named.or_else(|| cx.host.var(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from));
        let path = named.unwrap_or_else(|| PathBuf::from(PLACES[0]));
        if path.as_os_str() == "-" {
            return Ok(Started { path: None, content: STARTER });
        }
        if cx.host.exists(&path) {
            return Err(Failure::wrong(Code::Exists, format!("{} is there already", path.display()))
                .help("name another file by `--profile`, or print the starter by `--profile -`"));
        }
        cx.host.create(Write { path: &path, content: STARTER.as_bytes(), mode: 0o644 }).map_err(|e| {
            Failure::host(format!("{} could not be written: {}", path.display(), e.reason()))
                .help("is the folder there, and may you write into it?")
        })?;
        cx.note(format!("wrote {}; fill it in, then `harden993 check`", path.display()));
        Ok(Started { path: Some(path), content: STARTER })
    }
}

impl Report for Started {
    fn exit(&self) -> Exit {
        Exit::Clean
    }

    fn page(self) -> Page {
        match self.path {
            Some(_) => Page::new(),
            None => Page::verbatim(self.content),
        }
    }
}
