//! `render`: the rules of a profile for one firewall, proved before they are printed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::host::Write;
use crate::net::Family;
use crate::target::{self, File};

use super::current::targets;
use super::problems::Deviation;
use super::profile::{Day, usable};
use super::wanted::Rules;
use super::{Block, Code, Context, Exit, Failure, Page, Report, Verb};

/// Print the rules of the profile for a firewall
#[derive(Debug, Args)]
#[command(after_long_help = "\
The rules are read back and proved to do exactly what the profile says before they are printed. Their first lines say how \
to load them by hand, and what the firewall does otherwise than asked.

What a firewall cannot do is refused, unless [target.NAME] in the profile names it under `degrade`.

Examples:
  harden993 render --target nftables > harden993.nft
  harden993 render --target iptables --family ipv6
  harden993 render --target pf --out /etc/harden993")]
pub struct Render {
    /// The firewall
    #[arg(long, value_name = "TARGET", value_parser = targets())]
    target: String,

    /// Write every file of the target into this folder, which is made if it is missing
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,

    /// Only this family's input of `iptables-restore --noflush`, without the jump (iptables)
    #[arg(long, value_name = "FAMILY", value_enum)]
    family: Option<FamilyName>,

    #[command(flatten)]
    day: Day,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FamilyName {
    Ipv4,
    Ipv6,
}

/// The rules of a profile.
#[derive(Debug, Serialize)]
pub struct Rendered {
    target: &'static str,
    digest: String,
    files: Vec<RenderedFile>,
    deviations: Vec<Deviation>,
    #[serde(skip)]
    written: bool,
}

#[derive(Debug, Serialize)]
struct RenderedFile {
    name: String,
    content: String,
}

impl Verb for Render {
    type Report = Rendered;

    fn run(self, cx: &Context<'_>) -> Result<Rendered, Failure> {
        let Some(target) = target::by_name(&self.target) else {
            return Err(Failure::wrong(Code::Argument, format!("there is no target `{}`", self.target)));
        };
        let name = target.spec().name;
        if self.family.is_some() && !target.by_family() {
            return Err(Failure::wrong(Code::Argument, format!("{name} has one output for both families"))
                .help("leave `--family` out"));
        }
        let profile = usable(cx, self.day.date(cx)?)?;
        let family = self.family.map(|f| match f {
            FamilyName::Ipv4 => Family::V4,
            FamilyName::Ipv6 => Family::V6,
        });
        let rules = Rules::of(&profile, target, family, false)?;
        for what in &rules.deviations {
            cx.note(format!("{name}: {what}"));
        }
        if let Some(out) = &self.out {
            write(cx, out, &rules.files)?;
        }
        Ok(Rendered {
            target: name,
            digest: rules.digest.to_string(),
            files: rules.files.into_iter().map(|f| RenderedFile { name: f.name, content: f.content }).collect(),
            deviations: rules.deviations.into_iter().map(|what| Deviation { target: name, what }).collect(),
            written: self.out.is_some(),
        })
    }
}

fn write(cx: &Context<'_>, out: &std::path::Path, files: &[File]) -> Result<(), Failure> {
    cx.host.make_folder(out, 0o755)?;
    let paths: Vec<PathBuf> = files.iter().map(|f| out.join(&f.name)).collect();
    let writes: Vec<Write<'_>> = files
        .iter()
        .zip(&paths)
        .map(|(file, path)| Write { path, content: file.content.as_bytes(), mode: 0o644 })
        .collect();
    cx.host.write(&writes)?;
    for path in &paths {
        cx.note(format!("wrote {}", path.display()));
    }
    Ok(())
}

impl Report for Rendered {
    fn exit(&self) -> Exit {
        Exit::Clean
    }

    fn page(self) -> Page {
        if self.written {
            return Page::new();
        }
        Page { blocks: self.files.into_iter().map(|f| Block::Verbatim(f.content)).collect() }
    }
}
