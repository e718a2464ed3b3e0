//! The ruleset that a command is about: this host's, or one that was saved.

use std::path::PathBuf;

use clap::Args;

use crate::change::{ChangeError, Live, holders};
use crate::host::{HostError, Refused};
use crate::ruleset::Ruleset;
use crate::target::{self, ALL, Listing, Platform, Section, Target, Unprinted, read_host};

use super::{Code, Context, Failure};

/// Which ruleset.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Current {
    /// A saved ruleset in place of this host's; `-` for standard input; can be repeated
    ///
    /// `nft list ruleset` or its `-j` form, `iptables-save`, `ip6tables-save` and `ipset save`, `pfctl -sr`, or what
    /// `harden993 capture` printed. Listings of one host belong together.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) current: Vec<PathBuf>,

    /// The firewall; without it, the one that the ruleset tells
    #[arg(long, value_name = "TARGET", value_parser = targets())]
    pub(super) target: Option<String>,
}

/// The names of all targets, as values of an option.
pub(super) fn targets() -> clap::builder::PossibleValuesParser {
    ALL.iter().map(|t| t.spec().name).collect::<Vec<_>>().into()
}

/// A ruleset, and the firewall of ours that is meant.
#[derive(Debug)]
pub(super) struct Seen {
    /// The firewall.
    pub(super) target: &'static dyn Target,
    /// The rules.
    pub(super) live: Live,
    /// Where they come from, for reports: `live`, or the names of the files.
    pub(super) source: String,
}

impl Seen {
    /// The rules as they are.
    pub(super) fn ruleset(&self) -> &Ruleset {
        &self.live.ruleset
    }
}

/// The largest saved listing.
const LARGEST: u64 = 1 << 30;

impl Current {
    /// Reads the ruleset.
    pub(super) fn read(&self, cx: &Context<'_>) -> Result<Seen, Failure> {
        let named = self.target.as_deref().and_then(target::by_name);
        if self.current.is_empty() {
            return live(cx, named);
        }
        let stdin = |path: &&PathBuf| path.as_os_str() == "-";
        if self.current.iter().chain(&cx.options.profile).filter(stdin).count() > 1 {
            return Err(Failure::wrong(
                Code::Argument,
                "standard input is named more than once, and can be read only once",
            )
            .help("write one of the two to a file"));
        }
        let mut listing = Listing::default();
        let mut found: Option<&'static dyn Target> = None;
        for path in &self.current {
            let name = path.display();
            let part = Listing::parse(&text(cx, path)?);
            for section in part.sections {
                if let Some(Unprinted { line, message, help }) = ALL.iter().find_map(|t| t.unprinted(&section)) {
                    let place = format!("{name}:{}:1", section.before + line);
                    return Err(Failure::wrong(Code::Input, format!("{place}: {message}")).help(help));
                }
                let kind = ALL.iter().copied().find(|t| t.recognises_section(&section));
                found = found.or(kind);
                if kind.is_none() && !section.text.trim().is_empty() && section.command.is_empty() {
                    return Err(Failure::wrong(
                        Code::Input,
                        format!("{name}:1:1: this is no listing of a firewall that is known here"),
                    )
                    .help("`harden993 diff --help` tells the forms that are read"));
                }
                listing.sections.push(section);
            }
        }
        let platform = named.or(found).map_or(Platform::Linux, Target::platform);
        let names: Vec<String> = self.current.iter().map(|p| p.display().to_string()).collect();
        let rules = read_host(platform, &listing).map_err(|e| {
            let help = "is the file whole, and of one host?";
            Failure::wrong(Code::Input, format!("{}:{e}", names.join(","))).help(help)
        })?;
        if let Some(set) = &rules.ruleset.torn {
            cx.warn(format!(
                "{}: the set {set} is listed with an element twice: if the kernel was making it larger, others are \
                 missing; take the listing again",
                names.join(", ")
            ));
        }
        let held = holders(platform, &rules.ruleset).first().and_then(|n| target::by_name(n));
        let target = named.or(held).or(found).or_else(|| ALL.first().copied());
        let target = target.ok_or_else(|| Failure::wrong(Code::Defect, "no target is known"))?;
        cx.detail(format!("the ruleset is taken as one of {}", target.spec().name));
        Ok(Seen { target, live: Live::of_listing(listing, rules), source: names.join(", ") })
    }
}

fn text(cx: &Context<'_>, path: &std::path::Path) -> Result<String, Failure> {
    let wrong = |e: HostError| Failure::wrong(Code::Input, e.to_string());
    let bytes = if path.as_os_str() == "-" {
        cx.host.stdin(LARGEST).map_err(wrong)?
    } else {
        cx.host.read(path, LARGEST).map_err(wrong)?
    };
    decode(bytes).map_err(|line| {
        Failure::wrong(Code::Input, format!("{}:{line}:1: this is no text", path.display()))
            .help("a ruleset is text as its tool prints it")
    })
}

/// UTF-8, or UTF-16 with its mark, which Windows writes; else the line at which it stops to be text.
fn decode(bytes: Vec<u8>) -> Result<String, usize> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes[2..].as_chunks::<2>();
        String::from_utf16(&pairs.iter().map(|p| order(*p)).collect::<Vec<_>>()).map_err(|_| 1)
    };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => return wide(u16::from_le_bytes),
        Some([0xfe, 0xff]) => return wide(u16::from_be_bytes),
        _ => {}
    }
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        e.as_bytes()[..good].split(|b| *b == b'\n').count()
    })
}

/// The platform of this host.
pub(super) fn platform(cx: &Context<'_>) -> Platform {
    match cx.host.system() {
        "windows" => Platform::Windows,
        "linux" => Platform::Linux,
        _ => Platform::Bsd,
    }
}

fn live(cx: &Context<'_>, named: Option<&'static dyn Target>) -> Result<Seen, Failure> {
    let here = platform(cx);
    if let Some(target) = named.filter(|t| t.platform() != here) {
        return Err(Failure::wrong(Code::Argument, format!("{} does not run on this host", target.spec().name))
            .help("name a saved ruleset with `--current`"));
    }
    let live = Live::read(cx.host, here).map_err(failure)?;
    let target = named.map_or_else(|| choose(here, &live), Ok)?;
    cx.note(format!("the firewall is {}", target.spec().name));
    Ok(Seen { target, live, source: "live".to_owned() })
}

/// The one that holds our objects, else the first of the platform that runs and whose kernel side nobody else's legacy
/// tables contradict.
fn choose(platform: Platform, live: &Live) -> Result<&'static dyn Target, Failure> {
    let held = holders(platform, &live.ruleset);
    let of_platform = || ALL.iter().copied().filter(|t| t.platform() == platform);
    let target =
        held.first().and_then(|n| target::by_name(n)).or_else(|| of_platform().find(|t| t.prefers(&live.listing)));
    target.or_else(|| of_platform().next()).ok_or_else(|| Failure::host("no firewall of this host is known here"))
}

/// Why a change, or a look at a host, failed.
pub(super) fn failure(error: ChangeError) -> Failure {
    use super::Exit;
    let help = match &error {
        ChangeError::Host(HostError::Io { error, .. }) => match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                Some("run it as root (`sudo harden993 …`): the state directory is root's own".to_owned())
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Some("make room there".to_owned()),
            _ => Some("name a directory that can be written to with `--state-dir`".to_owned()),
        },
        ChangeError::Host(HostError::Refused { why: Refused::Foreign | Refused::Shared, .. }) => Some(
            "what is kept there is loaded as root: give it to root and to nobody else (`chown root`, `chmod 700`), or name \
             another with `--state-dir`"
                .to_owned(),
        ),
        e if e.is_permission() => Some("run it as root, or with CAP_NET_ADMIN (`sudo harden993 …`)".to_owned()),
        ChangeError::NoFirewall => {
            Some("install nftables (or iptables), or name a saved ruleset with `--current`".to_owned())
        }
        ChangeError::Host(HostError::Missing { program }) => {
            Some(format!("install the package that holds `{program}`"))
        }
        ChangeError::Refused { ran, .. } if ran.code.is_none() => Some(
            "a tool that dies while it lists is often older than the one that loaded the rules (in a container, say)"
                .to_owned(),
        ),
        ChangeError::Stale | ChangeError::Busy => {
            Some("run the command again, so that it plans on what is loaded now".to_owned())
        }
        ChangeError::State { .. } => Some("move this file away, and run `harden993 apply` again".to_owned()),
        ChangeError::Locked => Some("wait until it has ended".to_owned()),
        ChangeError::Waits { .. } => {
            Some("`harden993 confirm` keeps it, `harden993 rollback` takes it back".to_owned())
        }
        ChangeError::NoEntry(_) | ChangeError::NothingThere(_) => {
            Some("`harden993 rollback --list` shows what can be gone back behind".to_owned())
        }
        ChangeError::Load(target::LoadError::Host { help, .. }) => Some(help.clone()),
        _ => None,
    };
    let (exit, code) = match &error {
        ChangeError::PutBack { .. } => (Exit::PutBack, Code::Host),
        ChangeError::Broken { .. } => (Exit::Broken, Code::Host),
        ChangeError::NothingThere(_) => (Exit::Finding, Code::Nothing),
        ChangeError::NoEntry(_) => (Exit::Wrong, Code::Argument),
        _ => (Exit::Host, Code::Host),
    };
    Failure { exit, code, message: error.to_string(), help, problems: None }
}

/// A section as [`Target::recognises`] judges it: by its command where it has one.
trait Recognise {
    fn recognises_section(&self, section: &Section) -> bool;
}

impl Recognise for &'static dyn Target {
    fn recognises_section(&self, section: &Section) -> bool {
        if section.command.is_empty() {
            return self.recognises(&section.text);
        }
        self.observations().iter().any(|o| section.command.starts_with(o.program))
    }
}
