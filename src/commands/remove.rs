//! `remove`: take all of ours away from this host, in every firewall that holds any.

use clap::Args;

use crate::change::{Confirmed, Goal, Live, Order, Plan, Scope, State, check, execute, holders, of_host};
use crate::policy::TargetSettings;
use crate::target::{self, Wanted};

use super::applying::{Change, hold, none_waits, who};
use super::current::{failure, platform, targets};
use super::effect::Why;
use super::restore::confirmed_scope;
use super::shape::Lists;
use super::{Context, Failure, Verb};

/// Take all of our rules away from this host, and leave the rest as it is
///
/// The port is then as open as everybody else's rules leave it.
#[derive(Debug, Args)]
pub struct Remove {
    /// Only from this firewall; without it, from every one that holds any
    #[arg(long, value_name = "TARGET", value_parser = targets())]
    target: Option<String>,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    /// Do everything up to the firewall's own check, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    lists: Lists,
}

impl Verb for Remove {
    type Report = Change;

    fn run(self, cx: &Context<'_>) -> Result<Change, Failure> {
        let state = State::new(cx.host, &cx.options.state_dir);
        let (held, settled) = hold(cx, &state, self.dry_run)?;
        none_waits(&settled)?;
        let here = platform(cx);
        let settings = TargetSettings::default();
        let scope = confirmed_scope(cx, &state)?.unwrap_or_else(|| Scope::of_port(993));
        // One that goes because it is not wanted beside the confirmed one leaves that confirmed.
        let is_other = |confirmed: &Confirmed| {
            matches!((&self.target, confirmed), (Some(gone), Confirmed::Profile { target, .. }) if gone != target)
        };
        let confirms = state.confirmed().map_err(failure)?.filter(is_other).unwrap_or(Confirmed::Absent);
        let goal = |target| Goal { target, wanted: Wanted::Absent, settings: &settings, scope: &scope };
        let wanted = |live: &Live| {
            let held = holders(here, &live.ruleset).into_iter().filter_map(target::by_name);
            held.filter(|t| self.target.as_deref().is_none_or(|n| n == t.spec().name)).collect::<Vec<_>>()
        };
        let live = Live::read(cx.host, here).map_err(failure)?;
        let all = wanted(&live);
        let Some(first) = all.first().copied() else {
            if !self.dry_run && holders(here, &live.ruleset).is_empty() {
                state.set_confirmed(&confirms).map_err(failure)?;
            }
            let name = self.target.as_deref().and_then(target::by_name).or_else(|| target::ALL.first().copied());
            let name = name.map_or("none", |t| t.spec().name);
            return Ok(Change::nothing(name, of_host(here, &live.ruleset)).kept());
        };
        if self.dry_run {
            for target in &all {
                let loading = target.loading(&live.listing, Wanted::Absent, &settings).map_err(|e| failure(e.into()))?;
                check(cx.host, &loading).map_err(failure)?;
            }
        }
        // What is told is all that goes, from every firewall.
        let plan = Plan::of_all(live, &all, &goal(first)).map_err(failure)?;
        let others = of_host(here, &plan.after);
        let names: Vec<&str> = all.iter().map(|t| t.spec().name).collect();
        let mut change =
            Change::planned(first.spec().name, &plan, None, Why::default(), others, self.lists).of(&names);
        drop(plan);
        if self.dry_run {
            return Ok(change);
        }
        let (planned, agreed) = change.asked(cx, self.yes, "Take this away? [y/N]")?;
        change = planned;
        if !agreed {
            return Ok(change);
        }
        // One firewall after the other.
        loop {
            let live = Live::read(cx.host, here).map_err(failure)?;
            let Some(target) = wanted(&live).first().copied() else {
                if holders(here, &live.ruleset).is_empty() {
                    state.set_confirmed(&confirms).map_err(failure)?;
                }
                return Ok(change);
            };
            let goal = goal(target);
            let plan = Plan::of(live, &goal).map_err(failure)?;
            let order = Order {
                action: "remove",
                by: who(cx),
                digest: None,
                closed: false,
                closure: None,
                confirms: Some(confirms.clone()),
                confirm: None,
                cut: None,
                ports: scope.ports.clone(),
                state_dir: cx.options.state_dir.clone(),
            };
            let applied = execute(&held, &plan, &goal, &order).map_err(failure)?;
            change = change.applied(applied);
        }
    }
}
