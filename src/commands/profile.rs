//! The profile that a command works on: where it is found, which day it is read for, and that it is usable.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::diagnostic::Problem;
use crate::host::{Host, HostError, Refused};
use crate::policy::{Policy, TargetSpec};
use crate::profile::{self, Loaded, MAX_FILE, Origin, Store};
use crate::target::ALL;

use super::problems::Problems;
use super::{Code, Context, Failure};

/// Where a profile is looked for when nobody names one.
pub(super) const PLACES: [&str; 2] = ["harden993.toml", "/etc/harden993/profile.toml"];

/// The variable that names the profile.
pub(super) const VARIABLE: &str = "HARDEN993_PROFILE";

/// The day for which a profile is read, for commands that do not look at a host.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
pub(super) struct Day {
    /// Decide as on this day (UTC): `2027-03-31`
    ///
    /// Entries with `expires` count until their day is over. Without `--now` it is the day of `SOURCE_DATE_EPOCH`
    /// (seconds since 1970) if that is set, else today.
    #[arg(long, value_name = "DATE")]
    now: Option<String>,
}

impl Day {
    /// The day: `--now`, else `SOURCE_DATE_EPOCH`, else the clock.
    pub(super) fn date(&self, cx: &Context<'_>) -> Result<Date, Failure> {
        if let Some(text) = &self.now {
            return text.parse().map_err(|_| {
                Failure::wrong(Code::Argument, format!("`{text}` is no date"))
                    .help("write `--now 2027-03-31`: year, month, day")
            });
        }
        let Some(text) = cx.host.var("SOURCE_DATE_EPOCH").filter(|t| !t.is_empty()) else { return Ok(today(cx.host)) };
        let time = text.parse().ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
        time.map(date).ok_or_else(|| {
            Failure::wrong(Code::Argument, format!("SOURCE_DATE_EPOCH is `{text}`, which is no time"))
                .help("set it to the seconds since 1970-01-01, or unset it")
        })
    }
}

fn date(time: jiff::Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// Today by the clock, for commands that look at a host.
pub(super) fn today(host: &dyn Host) -> Date {
    date(host.now())
}

/// A profile without errors.
pub(super) struct Usable {
    /// The policy that it means.
    pub(super) policy: Policy,
    /// Everything else that was read.
    pub(super) loaded: Loaded,
}

/// Reads the profile that the options name, with everything that is wrong with it.
pub(super) fn load(cx: &Context<'_>, today: Date) -> Result<Loaded, Failure> {
    let origin = origin(cx)?;
    if let Origin::File(path) = &origin {
        cx.detail(format!("the profile is {}, read for {today}", path.display()));
    }
    let specs: Vec<TargetSpec> = ALL.iter().map(|t| t.spec()).collect();
    Ok(profile::load(&origin, &profile::Options { today, specs: &specs }, &Files(cx.host)))
}

/// Reads the profile that the options name; errors in it are a failure, warnings are mentioned.
pub(super) fn usable(cx: &Context<'_>, today: Date) -> Result<Usable, Failure> {
    let mut loaded = load(cx, today)?;
    match loaded.policy.take() {
        Some(policy) if !loaded.has_errors() => {
            let warnings = loaded.problems.len();
            if warnings > 0 {
                let s = if warnings == 1 { "" } else { "s" };
                cx.note(format!("the profile has {warnings} warning{s}; `harden993 check` shows them"));
            }
            Ok(Usable { policy, loaded })
        }
        _ => Err(invalid(Problems { list: loaded.problems, files: loaded.files })),
    }
}

/// The ports of the profile, for a command that needs none: nothing if there is none. One that somebody names must be
/// usable; one that is merely found at a usual place may be wrong, and is then passed over.
pub(super) fn ports(cx: &Context<'_>) -> Result<Option<Vec<u16>>, Failure> {
    let named = cx.options.profile.is_some() || cx.host.var(VARIABLE).is_some_and(|v| !v.is_empty());
    if !named && !PLACES.iter().any(|p| cx.host.exists(Path::new(p))) {
        return Ok(None);
    }
    let mut loaded = load(cx, today(cx.host))?;
    match loaded.policy.take().filter(|_| !loaded.has_errors()) {
        Some(policy) => Ok(Some(policy.all_ports())),
        None if named => Err(invalid(Problems { list: loaded.problems, files: loaded.files })),
        None => {
            cx.warn(
                "the profile has errors and is passed over: port 993 is asked about (`harden993 check` shows them)",
            );
            Ok(None)
        }
    }
}

/// That a profile has errors.
pub(super) fn invalid(problems: Problems) -> Failure {
    let name = problems.files.iter().next().map_or("the profile", |f| f.name.as_str());
    let message = format!("{name} cannot be used: {}", problems.summary());
    Failure::wrong(Code::Profile, message).problems(problems)
}

/// A problem with the profile as a whole.
pub(super) fn whole(code: &'static crate::diagnostic::Code, message: String, help: String) -> Problem {
    Problem::new(code, message).help(help)
}

fn origin(cx: &Context<'_>) -> Result<Origin, Failure> {
    let named = cx.options.profile.clone();
    let named = named.or_else(|| cx.host.var(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from));
    match named {
        Some(path) if path == Path::new("-") => {
            let text = cx.host.stdin(MAX_FILE).map_err(|e| {
                Failure::wrong(Code::Input, format!("standard input could not be read: {}", e.reason()))
            })?;
            Ok(Origin::Text { text, dir: PathBuf::from(".") })
        }
        Some(path) => Ok(Origin::File(path)),
        None => {
            let found = PLACES.iter().map(PathBuf::from).find(|p| cx.host.exists(p));
            found.map(Origin::File).ok_or_else(|| {
                Failure::wrong(Code::NoProfile, format!("no profile: there is neither {} nor {}", PLACES[0], PLACES[1]))
                    .help("name one by `--profile FILE`, or start with `harden993 init`")
            })
        }
    }
}

/// The host's files as the profile room reads them.
struct Files<'a>(&'a dyn Host);

impl Store for Files<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path, MAX_FILE).map_err(|e| {
            let kind = match &e {
                HostError::Refused { why: Refused::Directory, .. } => io::ErrorKind::IsADirectory,
                HostError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
                other => other.kind().unwrap_or(io::ErrorKind::InvalidInput),
            };
            io::Error::new(kind, e.reason())
        })
    }

    fn identity(&self, path: &Path) -> PathBuf {
        self.0.identity(path)
    }
}
