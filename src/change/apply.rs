//! A change made: checked, with a way back kept first, loaded, read back, and put back at once if it does not hold.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::{Host, Run, Through};
use crate::target::{Listing, Loading, Step, Target, Wanted};

use super::guard;
use super::live::patience;
use super::plan::side;
use super::state::{Closure, Confirmed, Entry, Held, Pending, Seen, Side, Stage, State};
use super::{ChangeError, Effect, Goal, Live, Plan};

/// What is to be done beside the goal itself.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// What the journal calls it: `apply`, `remove`, `rollback`, `restore`.
    pub action: &'a str,
    /// Who does it.
    pub by: String,
    /// The policy digest of the profile.
    pub digest: Option<String>,
    /// Whether the port is closed whatever the profile trusts.
    pub closed: bool,
    /// Every file of the profile.
    pub closure: Option<Closure>,
    /// What is confirmed if it is kept; none: the profile of this very entry.
    pub confirms: Option<Confirmed>,
    /// After how many seconds the old rules come back unless somebody confirms.
    pub confirm: Option<u32>,
    /// Which open connections through this host end, beside those to itself, if those who lose access are cut off; none: no
    /// connection is ended.
    pub cut: Option<Through>,
    /// The guarded ports, for who looks at the entry later.
    pub ports: Vec<u16>,
    /// The state directory, for the guardian.
    pub state_dir: std::path::PathBuf,
}

/// A change that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The journal entry.
    pub id: String,
    /// The entry before it.
    pub previous: Option<String>,
    /// How far it has come.
    pub stage: Stage,
    /// What a confirmation must name.
    pub token: Option<String>,
    /// When the old rules come back.
    pub confirm_by: Option<String>,
}

/// Runs the firewall's own check of a change.
pub fn check(host: &dyn Host, loading: &Loading) -> Result<(), ChangeError> {
    loading.check.iter().try_for_each(|step| run(host, step))
}

/// Makes a planned change. The caller holds the lock, and nothing waits.
///
/// # Errors
/// [`ChangeError::PutBack`] and [`ChangeError::Broken`] if something was changed; with any other nothing was.
pub fn execute(held: &Held<'_>, plan: &Plan, goal: &Goal<'_>, order: &Order<'_>) -> Result<Applied, ChangeError> {
    let Held { host, state, lock } = held;
    let (host, state) = (*host, *state);
    let loading = plan.loading(goal)?;
    check(host, &loading)?;
    let snapshot = way_back(host, plan, goal)?;

    let id = state.new_id()?;
    let token = guard::token(host, &id)?;
    let confirm_by =
        order.confirm.map(|s| (host.now() + Duration::from_secs(s.into())).strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let mut entry = entry(host, state, &id, plan, goal, order)?;
    let previous = state.entries()?.last().map(|e| e.id.clone());
    // The way back is on the disk before anything is loaded; the entry itself is what makes it valid.
    state.set_before(&id, snapshot.as_deref())?;
    if let Some(closure) = &order.closure {
        state.set_closure(&id, closure)?;
    }
    if let (Some(through), Some(_)) = (&order.cut, order.confirm) {
        // Who loses access is known now, and must be known at the confirmation, whoever gives it.
        let lost = plan.effects.iter().fold(crate::net::AddrSet::new(), |all, e| all.union(&e.lost));
        state.set_lost(&id, &lost, through)?;
    }
    state.set_entry(&entry)?;
    let mut pending = Pending {
        id: id.clone(),
        waits: false,
        token: token.clone(),
        confirm_by: confirm_by.clone(),
        boot: guard::boot(host),
        cut: order.cut.is_some(),
    };
    state.set_pending(Some(&pending))?;
    state.set_seen(None)?;
    let guardian = match order.confirm {
        Some(seconds) => {
            let armed = guard::arm(host, &order.state_dir, &id, seconds);
            Some(armed.or_else(|e| state.set_pending(None).and(Err(e)))?)
        }
        None => None,
    };
    let stale = plan.live.is_stale(host, goal.target.platform());
    if !matches!(stale, Ok(false)) {
        entry.stage = Stage::Planned;
        state.set_entry(&entry)?;
        state.set_pending(None)?;
        stale?;
        return Err(ChangeError::Stale);
    }

    let loaded = lock.shared(|| loading.load.iter().try_for_each(|step| run(host, step)));
    let generation = match loaded.and_then(|()| read_back(host, goal.target, plan, &loading)) {
        Ok(generation) => generation,
        Err(why) => return Err(undo(held, goal.target, &mut entry, &why.to_string())),
    };
    let waits = guardian.is_some();
    let stage = if waits { Stage::Waiting } else { Stage::Kept };
    let kept = if waits {
        await_confirmation(state, &mut entry, &mut pending)
    } else {
        keep(host, state, &mut entry, generation)
    };
    // What is loaded and what boot loads would be two things.
    if let Err(why) = kept {
        return Err(undo(held, goal.target, &mut entry, &why.to_string()));
    }
    Ok(Applied { id, previous, stage, token: waits.then_some(token), confirm_by })
}

/// Makes a planned change of which nothing can be kept, because the state directory cannot be written: for who brings back
/// what is confirmed, since the port would be open to everybody until there is room. The caller holds the lock.
///
/// # Errors
/// [`ChangeError::Broken`] if something was changed; with any other nothing was.
pub fn execute_unrecorded(held: &Held<'_>, plan: &Plan, goal: &Goal<'_>) -> Result<(), ChangeError> {
    let host = held.host;
    let loading = plan.loading(goal)?;
    check(host, &loading)?;
    if plan.live.is_stale(host, goal.target.platform())? {
        return Err(ChangeError::Stale);
    }
    let loaded = held.lock.shared(|| loading.load.iter().try_for_each(|step| run(host, step)));
    let held = loaded.and_then(|()| read_back(host, goal.target, plan, &loading));
    held.map(|_| ()).map_err(|why| ChangeError::Broken {
        why: why.to_string(),
        undo: "what was loaded could not be kept".to_owned(),
        loaded: loaded_now(host, goal.target),
    })
}

/// Confirms what is loaded already, without loading anything. The caller holds the lock, and nothing waits.
pub fn keep_as_is(held: &Held<'_>, plan: &Plan, goal: &Goal<'_>, order: &Order<'_>) -> Result<String, ChangeError> {
    let (host, state) = (held.host, held.state);
    let id = state.new_id()?;
    let mut entry = entry(host, state, &id, plan, goal, order)?;
    let snapshot = goal.target.snapshot(&plan.live.listing)?;
    state.set_before(&id, snapshot.as_deref())?;
    if let Some(closure) = &order.closure {
        state.set_closure(&id, closure)?;
    }
    keep(host, state, &mut entry, plan.live.generation)?;
    Ok(id)
}

/// The journal entry of a change that is begun.
fn entry(
    host: &dyn Host,
    state: &State<'_>,
    id: &str,
    plan: &Plan,
    goal: &Goal<'_>,
    order: &Order<'_>,
) -> Result<Entry, ChangeError> {
    let name = goal.target.spec().name.to_owned();
    let confirms = order.confirms.clone().unwrap_or_else(|| Confirmed::Profile {
        id: id.to_owned(),
        target: name.clone(),
        closed: order.closed,
    });
    Ok(Entry {
        id: id.to_owned(),
        at: host.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        by: order.by.clone(),
        action: order.action.to_owned(),
        target: name,
        before: plan.old.clone(),
        after: plan.new.clone(),
        digest: order.digest.clone(),
        closed: order.closed,
        ports: order.ports.clone(),
        counts: counts(&plan.effects),
        confirmed: false,
        stage: Stage::Loaded,
        confirmed_before: state.confirmed()?,
        confirms,
    })
}

/// A loaded change waits from now on for somebody to confirm it.
pub(super) fn await_confirmation(
    state: &State<'_>,
    entry: &mut Entry,
    pending: &mut Pending,
) -> Result<(), ChangeError> {
    pending.waits = true;
    entry.stage = Stage::Waiting;
    state.set_entry(entry)?;
    state.set_pending(Some(pending))
}

/// A loaded change is the confirmed state from now on. The generation number is that at which it was seen to be loaded.
///
/// # Errors
/// What could not be written; then it is not confirmed.
pub(super) fn keep(
    host: &dyn Host,
    state: &State<'_>,
    entry: &mut Entry,
    generation: Option<u32>,
) -> Result<(), ChangeError> {
    entry.stage = Stage::Kept;
    entry.confirmed = true;
    state.set_entry(entry)?;
    state.set_confirmed(&entry.confirms)?;
    // It is done, and must not be undone any more. What cannot be written now the next command makes up for (`settle`
    // tells it), the timer lists once more, and the journal is longer for a while.
    let _ = state.set_pending(None).and_then(|()| remember(host, state, generation)).and_then(|()| state.prune());
    Ok(())
}

/// Remembers at which generation number the host was seen to be right, so that the timer need not list anything until
/// somebody writes; none: it was not seen.
pub fn remember(host: &dyn Host, state: &State<'_>, generation: Option<u32>) -> Result<(), ChangeError> {
    let seen = generation.map(|generation| Seen {
        generation,
        boot: guard::boot(host),
        day: host.now().strftime("%Y-%m-%d").to_string(),
    });
    state.set_seen(seen.as_ref())
}

/// What is loaded now as it could be put back, if it reads as what is loaded and the firewall says that it would take it.
fn way_back(host: &dyn Host, plan: &Plan, goal: &Goal<'_>) -> Result<Option<String>, ChangeError> {
    let no_way = |why: String| ChangeError::NoWayBack { why };
    let (target, listing) = (goal.target, &plan.live.listing);
    let snapshot = target.snapshot(listing)?;
    let Some(text) = &snapshot else {
        return if plan.old.print.is_none() {
            Ok(None)
        } else {
            Err(no_way("our own objects could not be taken from the listing".to_owned()))
        };
    };
    let read = target.read(&Listing::parse(text)).map_err(|e| no_way(e.to_string()))?;
    if Side::of(&target.print(&read), None, None).print != plan.old.print {
        return Err(no_way("the snapshot does not read as what is loaded".to_owned()));
    }
    let rehearsal = target.rehearsal(listing, text, goal.settings)?;
    rehearsal.iter().try_for_each(|step| run(host, step)).map_err(|e| no_way(e.to_string()))?;
    Ok(snapshot)
}

/// Holds what is loaded against what it was to be; the generation number of what was seen.
fn read_back(
    host: &dyn Host,
    target: &'static dyn Target,
    plan: &Plan,
    loading: &Loading,
) -> Result<Option<u32>, ChangeError> {
    if let Some(generation) = looked(host, target, plan, loading) {
        return Ok(Some(generation));
    }
    let (live, found) = side(host, target)?;
    if found.is(&plan.new) { Ok(live.generation) } else { Err(ChangeError::NotAsRendered) }
}

/// Looks at what a small change names. The kernel numbers its commits: where the number has risen by ours and no more since
/// everything was listed, all else is as it was listed. None: that is not so, or it does not read as it should, and
/// everything is to be listed.
fn looked(host: &dyn Host, target: &'static dyn Target, plan: &Plan, loading: &Loading) -> Option<u32> {
    let ours = u32::try_from(loading.load.len()).ok()?;
    let after = plan.live.generation?.wrapping_add(ours);
    if loading.looks.is_empty() || host.generation() != Some(after) {
        return None;
    }
    let mut shown = Vec::with_capacity(loading.looks.len());
    for step in &loading.looks {
        let ran = host.run(&Run::new(&step.program, &step.args).time(patience(host))).ok()?;
        shown.push((step.clone(), String::from_utf8(ran.stdout).ok().filter(|_| ran.code == Some(0))?));
    }
    let listing = target.looked(&plan.live.listing, &shown)?;
    let read = target.read(&listing).ok()?;
    let found = Side::of(&target.print(&read), read.digest.clone(), target.place(&listing).ok()?);
    (found.is(&plan.new) && host.generation() == Some(after)).then_some(after)
}

/// Puts back what was loaded before an entry, and says how that went.
pub(super) fn undo(held: &Held<'_>, target: &'static dyn Target, entry: &mut Entry, why: &str) -> ChangeError {
    let (host, state) = (held.host, held.state);
    let why = why.to_owned();
    match put_back(held, target, entry) {
        Ok(changed) => {
            entry.stage = Stage::Restored;
            entry.confirmed = false;
            // The journal and the pending file follow what is loaded; that they could not be written is said by the next command.
            let noted = state.set_entry(entry).and_then(|()| state.set_pending(None));
            match (changed, noted) {
                (false, Ok(())) => ChangeError::NotLoaded { why },
                (_, Ok(())) => ChangeError::PutBack { why },
                (_, Err(e)) => {
                    ChangeError::PutBack { why: format!("{why} (and the journal could not be written: {e})") }
                }
            }
        }
        Err(undo) => {
            entry.stage = Stage::Broken;
            let undo = match state.set_entry(entry) {
                Ok(()) => undo.to_string(),
                Err(e) => format!("{undo} (and the journal could not be written: {e})"),
            };
            ChangeError::Broken { why, undo, loaded: loaded_now(host, target) }
        }
    }
}

/// What is loaded, for who must know it although it is not as it should be.
fn loaded_now(host: &dyn Host, target: &'static dyn Target) -> String {
    match side(host, target) {
        Ok((_, Side { print: None, .. })) => "nothing of harden993".to_owned(),
        Ok((_, Side { digest: Some(digest), .. })) => format!("rules of the policy {digest}, perhaps not all of them"),
        Ok(_) => "rules of harden993 without a digest".to_owned(),
        Err(e) => format!("not known ({e})"),
    }
}

/// Brings back what was loaded before an entry; whether anything had to be changed for it.
fn put_back(held: &Held<'_>, target: &'static dyn Target, entry: &Entry) -> Result<bool, ChangeError> {
    let (host, state) = (held.host, held.state);
    let (live, found) = side(host, target)?;
    if found.has_rules_of(&entry.before) {
        return Ok(false);
    }
    let before = state.before(&entry.id)?;
    let (first, then) = match before.as_deref() {
        // The difference alone keeps counters and limits. If that does not do it, it is loaded as a whole.
        Some(before) => (Wanted::Snapshot(before), Wanted::Anew(before)),
        None => (Wanted::Absent, Wanted::Absent),
    };
    if bring(held, target, &live, first, entry).is_ok() {
        return Ok(true);
    }
    // What counts is what is loaded: a tool may have done its work before it failed.
    let (live, found) = side(host, target)?;
    if found.has_rules_of(&entry.before) {
        return Ok(true);
    }
    let failed = bring(held, target, &live, then, entry);
    if failed.is_err() && side(host, target)?.1.has_rules_of(&entry.before) {
        return Ok(true);
    }
    failed.map(|()| true)
}

/// Loads what was there before an entry, and looks whether it is there.
fn bring(
    held: &Held<'_>,
    target: &'static dyn Target,
    live: &Live,
    wanted: Wanted<'_>,
    entry: &Entry,
) -> Result<(), ChangeError> {
    let loading = target.loading(&live.listing, wanted, &crate::policy::TargetSettings::default())?;
    held.lock.shared(|| loading.load.iter().try_for_each(|step| run(held.host, step)))?;
    let (_, found) = side(held.host, target)?;
    if found.has_rules_of(&entry.before) { Ok(()) } else { Err(ChangeError::NotAsBefore) }
}

fn run(host: &dyn Host, step: &Step) -> Result<(), ChangeError> {
    let run = Run::new(&step.program, &step.args).input(step.input.as_bytes()).time(patience(host));
    let ran = host.run(&run)?;
    if ran.success() { Ok(()) } else { Err(ChangeError::Refused { command: run.to_string(), ran }) }
}

/// The numbers of addresses of an effect, by list and family.
fn counts(effects: &[Effect]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    for (name, pick) in Effect::LISTS {
        let set = effects.iter().fold(crate::net::AddrSet::new(), |all, e| all.union(pick(e)));
        let families = [("ipv4", set.v4.count()), ("ipv6", set.v6.count())];
        out.insert(name.to_owned(), families.map(|(f, n)| (f.to_owned(), n.to_string())).into());
    }
    out
}
