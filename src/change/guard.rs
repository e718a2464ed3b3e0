//! The guardian: a process of its own that puts the old rules back unless somebody confirms the new ones in time.
//!
//! It is armed before anything is loaded. Where systemd runs it is a transient unit, so that the end of a login cannot take
//! it along; elsewhere it is a process in a session of its own. It waits by the clock that nobody can set.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::host::{Host, Ran, Run};

use super::ChangeError;
use super::apply::undo;
use super::plan::fingerprint;
use super::settle::{target_of, was_kept};
use super::state::State;

/// How often the guardian looks whether it is still needed.
const TICK: Duration = Duration::from_millis(200);

/// How long the guardian tries to get the lock from a command that hangs, before it goes on trying more slowly.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the guardian came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Watch {
    /// Somebody confirmed, or put back, or applied anew.
    NotNeeded,
    /// The time was over, and the old rules are back.
    PutBack,
}

/// The boot that the machine is in; empty where it does not say.
pub(super) fn boot(host: &dyn Host) -> String {
    if let Ok(id) = host.read(Path::new("/proc/sys/kernel/random/boot_id"), 200) {
        return String::from_utf8_lossy(&id).trim().to_owned();
    }
    // FreeBSD has a number like Linux's. The others know when they were started, which changes only if somebody sets the
    // clock; then what waits is taken for gone, and the timer loads what was confirmed before.
    let said = ["kern.boot_id", "kern.boottime"].iter().find_map(|name| {
        let ran = host.run(&Run::new("sysctl", ["-n", name])).ok().filter(Ran::success)?;
        Some(String::from_utf8_lossy(&ran.stdout).trim().to_owned()).filter(|t| !t.is_empty())
    });
    said.unwrap_or_default()
}

/// A word that only who saw this apply knows, so that a late confirmation cannot bless the next one.
pub(super) fn token(host: &dyn Host, id: &str) -> Result<String, ChangeError> {
    let random = host.random()?;
    let mut token = fingerprint(&format!("{random:?} {id}"));
    token.truncate(16);
    Ok(token)
}

/// Starts the guardian of an apply.
pub(super) fn arm(host: &dyn Host, state_dir: &Path, id: &str, seconds: u32) -> Result<(), ChangeError> {
    let program = host.this_program()?;
    let state_dir = host.identity(state_dir);
    let words = [
        program.clone().into_os_string(),
        "guard".into(),
        "--state-dir".into(),
        state_dir.into_os_string(),
        "--seconds".into(),
        seconds.to_string().into(),
        id.into(),
    ];
    if host.exists(Path::new("/run/systemd/system")) {
        let unit = format!("--unit=harden993-guardian-{id}");
        let head = ["--quiet", "--collect", "--no-block", unit.as_str(), "--"].map(std::ffi::OsString::from);
        let run = Run::new("systemd-run", head.into_iter().chain(words.clone()));
        // Without a system manager that answers (a container), the process of its own does as well.
        if host.run(&run).is_ok_and(|ran| ran.success()) {
            return Ok(());
        }
    }
    host.detach(&words)?;
    Ok(())
}

/// Whether nobody can have changed anything since the host was seen to be right, without looking at its rules.
pub fn is_right(host: &dyn Host, state: &State<'_>) -> Result<bool, ChangeError> {
    // A note that cannot be read is none: looking costs a listing, and no more.
    let Ok(Some(seen)) = state.seen() else { return Ok(false) };
    let day = host.now().strftime("%Y-%m-%d").to_string();
    Ok(state.pending()?.is_none()
        && seen.boot == boot(host)
        && seen.day == day
        && host.generation() == Some(seen.generation))
}

/// Waits, and puts the old rules back if nobody confirms: the whole life of the guardian.
pub fn watch(host: &dyn Host, state: &State<'_>, id: &str, seconds: u32) -> Result<Watch, ChangeError> {
    let end = Instant::now() + Duration::from_secs(seconds.into());
    while Instant::now() < end {
        if state.pending()?.is_none_or(|p| p.id != id) {
            return Ok(Watch::NotNeeded);
        }
        host.sleep(TICK.min(end.saturating_duration_since(Instant::now())));
    }
    let asked = Instant::now();
    let held = loop {
        match state.lock() {
            Err(ChangeError::Locked) => {
                host.sleep(if asked.elapsed() < PATIENCE { TICK } else { 10 * TICK });
            }
            other => break other?,
        }
    };
    // Whoever held the lock may have confirmed or undone it.
    if state.pending()?.is_none_or(|p| p.id != id) {
        return Ok(Watch::NotNeeded);
    }
    let Some(mut entry) = state.entry(id)? else { return Ok(Watch::NotNeeded) };
    if was_kept(state, &entry)? {
        return Ok(Watch::NotNeeded);
    }
    let target = target_of(&entry)?;
    match undo(&held, target, &mut entry, "nobody confirmed in time") {
        ChangeError::PutBack { .. } | ChangeError::NotLoaded { .. } => Ok(Watch::PutBack),
        broken => Err(broken),
    }
}
