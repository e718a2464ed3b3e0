//! `apply`: bring this host to the profile, as a whole or not at all, with a way back.

use clap::Args;

use crate::access::Interface;
use crate::change::{Effect, Finding, Goal, Order, Plan, Scope, State, Verified, check, execute, findings, keep_as_is, verify};
use crate::host::{Stream, can_end};
use crate::target::Wanted;

use super::applying::{Change, caller, closure, hold, is_confirmed, none_waits, open_from, through, who};
use super::current::{Current, failure, targets};
use super::cut::cut;
use super::effect::{Expected, Why};
use super::profile::{today, usable};
use super::wanted::Rules;
use super::shape::Lists;
use super::{Code, Context, Exit, Failure, Verb, countdown};

/// Load the profile's rules on this host, as a whole or not at all
///
/// Shows the plan first and, on a terminal, asks. What is loaded is read back; if it does not hold, the old rules are put
/// back at once. With `--confirm` on a terminal the time that is left is counted down, and Enter confirms.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  harden993 apply --dry-run\n  harden993 apply --confirm 60\n  \
    harden993 apply --yes --expect-gain 198.51.100.0/24 --expect-loss none\n\n\
    Exit codes: 0 loaded or nothing to do, 1 stopped by --expect-…, --max-cut, --require-outcome or the answer,\n\
    3 the host could not do it and nothing was changed, 4 changed and put back, 5 changed and not put back.")]
pub struct Apply {
    /// The firewall; without it, the one that holds our rules, else the one that fits this host
    #[arg(long, value_name = "TARGET", value_parser = targets())]
    target: Option<String>,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    /// Put the old rules back after so many seconds unless `harden993 confirm` comes in time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86400))]
    confirm: Option<u32>,

    /// Also end the open connections of addresses that lose access
    #[arg(long)]
    cut: bool,

    /// Close the port now, whatever the profile trusts
    #[arg(long)]
    closed: bool,

    #[command(flatten)]
    expected: Expected,

    /// Stop if more than so many addresses that are connected now would lose access
    #[arg(long, value_name = "N")]
    max_cut: Option<usize>,

    /// Stop unless everybody's rules together do what the profile says
    #[arg(long)]
    require_outcome: bool,

    /// Do everything up to the firewall's own check, and load nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    lists: Lists,
}

impl Verb for Apply {
    type Report = Change;

    fn run(self, cx: &Context<'_>) -> Result<Change, Failure> {
        let profile = usable(cx, today(cx.host))?;
        let state = State::new(cx.host, &cx.options.state_dir);
        let (held, settled) = hold(cx, &state, self.dry_run)?;
        none_waits(&settled)?;
        let seen = Current { current: Vec::new(), target: self.target.clone() }.read(cx)?;
        let target = seen.target;
        if self.confirm.is_some() && target.platform() == crate::target::Platform::Windows {
            return Err(Failure::wrong(Code::Unsupported, "`--confirm` cannot be done on Windows")
                .help("leave it out; the script keeps old and new rules together until the new ones are verified"));
        }
        if self.cut && let Err((why, help)) = can_end(cx.host) {
            // A tool that is missing can be installed; what a system cannot do it will not do later.
            let exit = if cx.host.system() == "linux" { Exit::Host } else { Exit::Wrong };
            return Err(Failure { exit, ..Failure::wrong(Code::Unsupported, why) }.help(help));
        }
        let rules = Rules::of(&profile, target, None, self.closed)?;
        let scope = Scope::of_policy(&rules.policy);
        let job = rules.job();
        let goal = Goal { target, wanted: Wanted::Rendering(&job, &rules.files), settings: &rules.settings, scope: &scope };
        let plan = Plan::of(seen.live, &goal).map_err(failure)?;
        let verified = verify(&rules.policy, &plan.after, &scope);
        let mut found = findings(&rules.policy, target.platform(), &plan.after, &verified);
        found.extend(Self::caller(cx, &rules));
        found.extend(plan.moved().map(|(from, to)| Finding::moved(from, to)));
        let why = Why::of(&plan, &profile.loaded.provenance);
        let lists = self.lists;
        let digest = Some(rules.digest.to_string());
        let mut change = Change::planned(target.spec().name, &plan, digest.clone(), why, found, lists);

        let stopped = self.stops(cx, &plan, &rules, &verified)?;
        if !stopped.is_empty() {
            return Ok(change.stopped(stopped));
        }
        let files = closure(&profile.loaded);
        if !plan.changed {
            let name = target.spec().name;
            if !self.dry_run && self.confirm.is_none() && !is_confirmed(&state, name, self.closed, &files)? {
                let order = self.order(cx, &rules, &scope, digest, files);
                keep_as_is(&held, &plan, &goal, &order).map_err(failure)?;
            }
            return Ok(change.kept());
        }
        if self.dry_run {
            let loading = plan.loading(&goal).map_err(failure)?;
            check(cx.host, &loading).map_err(failure)?;
            return Ok(change);
        }
        let (planned, agreed) = change.asked(cx, self.yes, "Load this? [y/N]")?;
        change = planned;
        if !agreed {
            return Ok(change);
        }
        let order = self.order(cx, &rules, &scope, digest, files);
        let loaded_at = std::time::Instant::now();
        let applied = execute(&held, &plan, &goal, &order).map_err(failure)?;
        // The guardian, and who confirms from elsewhere, need the lock.
        drop(held);
        let Some(seconds) = self.confirm else {
            if let Some(through) = &order.cut {
                change.note(cut(cx, &scope.ports, &Effect::union(&plan.effects, "lost"), through).to_string());
            }
            return Ok(change.applied(applied));
        };
        let (id, token) = (applied.id.clone(), applied.token.clone().unwrap_or_default());
        let mut change = change.applied(applied);
        if cx.host.is_terminal(Stream::In) && cx.host.is_terminal(Stream::Err) {
            let came = countdown::wait(cx, &state, (&id, &token), loaded_at, seconds)?;
            change = change.waited(came);
        }
        Ok(change)
    }
}

impl Apply {
    fn order(
        &self,
        cx: &Context<'_>,
        rules: &Rules,
        scope: &Scope,
        digest: Option<String>,
        files: crate::change::Closure,
    ) -> Order<'static> {
        Order {
            action: "apply",
            by: who(cx),
            digest,
            closed: self.closed,
            closure: Some(files),
            confirms: None,
            confirm: self.confirm,
            cut: self.cut.then(|| through(&rules.policy)),
            ports: scope.ports.clone(),
            state_dir: cx.options.state_dir.clone(),
        }
    }

    /// Whoever runs this over a connection that is itself guarded, and would be refused afterwards.
    fn caller(cx: &Context<'_>, rules: &Rules) -> Option<Finding> {
        let (ip, port) = caller(cx, &rules.policy.all_ports())?;
        let mut question = crate::access::Question::opening(port);
        question.interface = Interface::Fresh(String::new());
        let refused = rules.policy.answer(&question).refused().contains(ip);
        crate::change::caller(ip, port, refused)
    }

    /// What of that which was asked for stops the load.
    fn stops(&self, cx: &Context<'_>, plan: &Plan, rules: &Rules, verified: &[Verified]) -> Result<Vec<Finding>, Failure> {
        let lost = Effect::union(&plan.effects, "lost");
        let mut out = self.expected.differences(&plan.effects)?;
        if let Some(most) = self.max_cut {
            let open = open_from(cx, &rules.policy.all_ports(), &lost, &through(&rules.policy))?;
            let peers: std::collections::BTreeSet<_> = open.iter().map(|c| c.peer).collect();
            if peers.len() > most {
                let many = format!("{} addresses that are connected now would lose access, more than {most}", peers.len());
                out.push(Finding::stop("max-cut", many));
            }
        }
        if self.require_outcome && !verified.iter().all(Verified::holds) {
            let said = "everybody's rules together do not do what the profile says (see the findings)";
            out.push(Finding::stop("outcome", said.to_owned()));
        }
        Ok(out)
    }
}
