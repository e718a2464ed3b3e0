//! `init`: a starter profile, commented, to be filled in.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::host::Write;

use super::current::Current;
use super::profile::{PLACES, VARIABLE};
use super::proposal::propose;
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
pub struct Init {
    /// Propose a profile from a ruleset: it trusts who can connect under it, and nobody else; `-` for standard input
    ///
    /// What each rule said stands beside the entry that it became, and what could not be taken over stands at the top.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    from_ruleset: Option<PathBuf>,

    /// With `--from-ruleset`: a port to ask about; can be repeated; without it 993
    #[arg(long = "port", value_name = "N", requires = "from_ruleset", value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
}

/// A starter profile.
#[derive(Debug, Serialize)]
pub struct Started {
    path: Option<PathBuf>,
    content: String,
    left_out: Vec<String>,
}

/// The starter profile. It is valid; its warnings say what is left to be filled in.
const STARTER: &str = include_str!("init.toml");

impl Verb for Init {
    type Report = Started;

    fn run(self, cx: &Context<'_>) -> Result<Started, Failure> {
        let (content, left_out) = self.content(cx)?;
        let named = cx.options.profile.clone();
        let named = named.or_else(|| cx.host.var(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from));
        let path = named.unwrap_or_else(|| PathBuf::from(PLACES[0]));
        if path.as_os_str() == "-" {
            return Ok(Started { path: None, content, left_out });
        }
        if cx.host.exists(&path) {
            return Err(Failure::wrong(Code::Exists, format!("{} is there already", path.display()))
                .help("name another file by `--profile`, or print the starter by `--profile -`"));
        }
        cx.host.create(Write { path: &path, content: content.as_bytes(), mode: 0o644 }).map_err(|e| {
            Failure::host(format!("{} could not be written: {}", path.display(), e.reason()))
                .help("is the folder there, and may you write into it?")
        })?;
        cx.note(format!("wrote {}; fill it in, then `harden993 check`", path.display()));
        Ok(Started { path: Some(path), content, left_out })
    }
}

impl Init {
    /// The profile, and what of a ruleset is not in it.
    fn content(&self, cx: &Context<'_>) -> Result<(String, Vec<String>), Failure> {
        let Some(file) = &self.from_ruleset else { return Ok((STARTER.to_owned(), Vec::new())) };
        let seen = Current { current: vec![file.clone()], target: None }.read(cx)?;
        let ports = if self.ports.is_empty() { &[993] } else { self.ports.as_slice() };
        let proposal = propose(&seen, ports)?;
        for line in &proposal.left_out {
            cx.warn(format!("not taken over: {line}"));
        }
        Ok((proposal.profile, proposal.left_out))
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
