//! `restore`: make what is loaded of ours what the confirmed state says, for boot and timer.

use std::time::Duration;

use clap::Args;

use crate::change::{
    ChangeError, Confirmed, Held, Goal, Live, Order, Plan, Scope, Settled, State, check, execute, execute_unrecorded, findings, is_right, of_host, remember, verify,
};
use crate::policy::TargetSettings;
use crate::profile::{self, Origin};
use crate::target::{self, ALL, Target, Wanted};

use super::applying::{Change, settled, who};
use super::current::{failure, platform};
use super::effect::Why;
use super::guard::record;
use super::profile::{Usable, invalid, today};
use super::wanted::Rules;
use super::shape::Lists;
use super::{Context, Failure, Problems, Verb};

/// Load the confirmed rules again if they are not loaded as they should be
///
/// For boot and timer. It loads what was last confirmed, never a half-edited file; expired entries drop out on their day.
/// While an apply waits to be confirmed it does nothing.
#[derive(Debug, Args)]
pub struct Restore {
    /// Report what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    lists: Lists,
}

impl Verb for Restore {
    type Report = Change;

    fn run(self, cx: &Context<'_>) -> Result<Change, Failure> {
        let state = State::new(cx.host, &cx.options.state_dir);
        let confirmed = state.confirmed().map_err(failure)?;
        let name = match &confirmed {
            Some(Confirmed::Profile { target, .. }) => target.clone(),
            _ => ALL.iter().find(|t| t.platform() == platform(cx)).map_or("none", |t| t.spec().name).to_owned(),
        };
        let target = named(&name)?;
        let nothing = |why: &str| {
            let mut change = Change::nothing(target.spec().name, Vec::new()).kept();
            change.note(why.to_owned());
            Ok(change)
        };
        // The quick way of a timer: nobody wrote since the host was seen to be right, and it is the same day.
        if is_right(cx.host, &state).map_err(failure)? {
            return nothing("nothing was changed since the last look");
        }
        let held = patiently(cx, &state)?;
        let settled = match settled(cx, &held, self.dry_run) {
            // What an earlier command left behind can wait; rules that are away cannot.
            Err(e) if e.is_unwritable() => {
                cx.warn(e.to_string());
                Settled::Nothing
            }
            other => other.map_err(failure)?,
        };
        if let Settled::Waits(pending) = settled {
            return nothing(&format!("the apply {} waits to be confirmed", pending.id));
        }
        let lists = self.lists;
        let (rules, closure_of) = match state.confirmed().map_err(failure)? {
            None => return nothing("nothing was ever confirmed on this host"),
            Some(Confirmed::Absent) => (None, Confirmed::Absent),
            Some(Confirmed::Profile { id, target: name, closed }) => {
                let profile = confirmed_profile(cx, &state, &id)?;
                (Some(Rules::of(&profile, target, None, closed)?), Confirmed::Profile { id, target: name, closed })
            }
        };
        let settings = TargetSettings::default();
        let scope = rules.as_ref().map_or_else(|| Scope::of_port(993), |r| Scope::of_policy(&r.policy));
        let job = rules.as_ref().map(Rules::job);
        let wanted = match (&job, &rules) {
            (Some(job), Some(rules)) => Wanted::Rendering(job, &rules.files),
            _ => Wanted::Absent,
        };
        let settings = rules.as_ref().map_or(&settings, |r| &r.settings);
        let goal = Goal { target, wanted, settings, scope: &scope };
        let mut tries = 1;
        loop {
            let live = Live::read(cx.host, target.platform()).map_err(failure)?;
            let generation = live.generation;
            let plan = Plan::of(live, &goal).map_err(failure)?;
            let found = match &rules {
                Some(r) => findings(&r.policy, target.platform(), &plan.after, &verify(&r.policy, &plan.after, &scope)),
                None => of_host(target.platform(), &plan.after),
            };
            let digest = rules.as_ref().map(|r| r.digest.to_string());
            let change = Change::planned(target.spec().name, &plan, digest.clone(), Why::default(), found, lists);
            if !plan.changed {
                // If it cannot be written the next look lists again.
                if !self.dry_run && let Err(e) = remember(cx.host, &state, generation) {
                    cx.detail(e.to_string());
                }
                return Ok(change.kept());
            }
            if self.dry_run {
                let loading = plan.loading(&goal).map_err(failure)?;
                check(cx.host, &loading).map_err(failure)?;
                return Ok(change);
            }
            let order = Order {
                action: "restore",
                by: who(cx),
                digest,
                closed: false,
                closure: None,
                confirms: Some(closure_of.clone()),
                confirm: None,
                cut: None,
                ports: scope.ports.clone(),
                state_dir: cx.options.state_dir.clone(),
            };
            let made = match execute(&held, &plan, &goal, &order) {
                Err(e) if e.is_unwritable() => {
                    cx.warn(format!("{e}: the journal will know nothing of this"));
                    execute_unrecorded(&held, &plan, &goal).map(|()| None)
                }
                other => other.map(Some),
            };
            match made {
                Ok(applied) => {
                    let said = format!("{name}: our rules were not as confirmed, and are loaded again");
                    record(cx, &said);
                    cx.warn(said);
                    return Ok(match applied {
                        Some(applied) => change.applied(applied),
                        None => change.kept(),
                    });
                }
                Err(ChangeError::NotLoaded { .. } | ChangeError::Stale) if tries < TRIES => {
                    tries += 1;
                    cx.host.sleep(PAUSE);
                }
                Err(e) => return Err(failure(e)),
            }
        }
    }
}

/// Takes the lock, which at a boot another instance of the units may hold for a moment.
fn patiently<'a>(cx: &Context<'_>, state: &'a State<'a>) -> Result<Held<'a>, Failure> {
    let mut left = LOOKS;
    loop {
        match state.lock() {
            Err(ChangeError::Locked) if left > 0 => {
                left -= 1;
                cx.host.sleep(BETWEEN);
            }
            other => return other.map_err(failure),
        }
    }
}

/// How often it is looked whether the lock is free, and how long after each look.
const LOOKS: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(100);

/// How often a load is tried that somebody else's came between, and how long after each try. When a host is started, or a
/// firewall service is, others write at the same time: firewalld, for one, flushes iptables after it says that it runs.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// The target that the confirmed state names.
fn named(name: &str) -> Result<&'static dyn Target, Failure> {
    target::by_name(name)
        .ok_or_else(|| Failure::host(format!("the confirmed state names the target `{}`", name.escape_debug())))
}

/// The profile of a journal entry, read for today from the files that were kept.
fn confirmed_profile(cx: &Context<'_>, state: &State<'_>, id: &str) -> Result<Usable, Failure> {
    let missing = || Failure::host(format!("the profile of the confirmed apply {id} is not in the state directory"));
    let closure = state.closure(id).map_err(failure)?.ok_or_else(missing)?;
    let specs: Vec<_> = ALL.iter().map(|t| t.spec()).collect();
    let options = profile::Options { today: today(cx.host), specs: &specs };
    let read = |path: &std::path::Path| closure.read(path);
    let mut loaded = profile::load(&Origin::File(closure.profile.clone()), &options, &read);
    match loaded.policy.take() {
        Some(policy) if !loaded.has_errors() => Ok(Usable { policy, loaded }),
        _ => Err(invalid(Problems { list: loaded.problems, files: loaded.files })),
    }
}

/// The connections that the confirmed policy guards.
pub(super) fn confirmed_scope(cx: &Context<'_>, state: &State<'_>) -> Result<Option<Scope>, Failure> {
    match state.confirmed().map_err(failure)? {
        Some(Confirmed::Profile { id, .. }) => {
            Ok(confirmed_profile(cx, state, &id).ok().map(|p| Scope::of_policy(&p.policy)))
        }
        _ => Ok(None),
    }
}

/// The rules of a state that is confirmed, or would be; none if nothing of ours is to be loaded.
pub(super) fn rules_of(
    cx: &Context<'_>,
    state: &State<'_>,
    confirmed: Option<&Confirmed>,
) -> Result<Option<Rules>, Failure> {
    match confirmed {
        Some(Confirmed::Profile { id, target: name, closed }) => {
            let target = named(name)?;
            Ok(Some(Rules::of(&confirmed_profile(cx, state, id)?, target, None, *closed)?))
        }
        _ => Ok(None),
    }
}
