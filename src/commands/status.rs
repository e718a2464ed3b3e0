//! `status`: what is loaded and which policy it is, whether it is as confirmed, what waits, who was counted.

use clap::Args;
use serde::Serialize;

use crate::change::{Confirmed, Finding, Live, Scope, State, findings, holders, left_behind, verify};
use crate::policy::TargetSettings;
use crate::target::{self, Counter, Target};

use super::applying::EntryObject;
use super::current::{Current, failure, targets};
use super::restore::rules_of;
use super::shape::{self, FindingShape};
use super::verify::Integrity;
use super::{Context, Exit, Failure, Line, Page, Report, Role, Verb};

/// Show what is loaded on this host, and whether it is what was confirmed
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all is as confirmed, or as what waits would have it; 1 there is a finding.")]
pub struct Status {
    /// The firewall; without it, the one that holds our rules
    #[arg(long, value_name = "TARGET", value_parser = targets())]
    target: Option<String>,
}

/// The state of a host.
#[derive(Debug, Serialize)]
pub struct HostStatus {
    target: &'static str,
    loaded: bool,
    loaded_digest: Option<String>,
    confirmed: Option<Confirmed>,
    integrity: Option<Integrity>,
    waiting: Option<Waiting>,
    last: Option<EntryObject>,
    counters: Vec<CounterObject>,
    findings: Vec<FindingShape>,
    /// The firewall that the rules are confirmed for, if it is another one than this.
    #[serde(skip)]
    other: Option<&'static str>,
    #[serde(skip)]
    found: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Waiting {
    id: String,
    confirm_by: Option<String>,
}

#[derive(Debug, Serialize)]
struct CounterObject {
    name: String,
    packets: u64,
    bytes: u64,
}

impl From<Counter> for CounterObject {
    fn from(c: Counter) -> Self {
        Self { name: c.name, packets: c.packets, bytes: c.bytes }
    }
}

impl Verb for Status {
    type Report = HostStatus;

    fn run(self, cx: &Context<'_>) -> Result<HostStatus, Failure> {
        let state = State::new(cx.host, &cx.options.state_dir);
        let confirmed = state.confirmed().map_err(failure)?;
        let pending = left_behind(cx.host, &state).map_err(failure)?;
        // While something waits that is what is to be loaded, and no drift.
        let waits = match pending.as_ref().filter(|p| p.waits) {
            Some(p) => state.entry(&p.id).map_err(failure)?.map(|e| e.confirms),
            None => None,
        };
        let due = waits.as_ref().or(confirmed.as_ref());
        let named = self.target.clone().or_else(|| match due {
            Some(Confirmed::Profile { target, .. }) => Some(target.clone()),
            _ => None,
        });
        let seen = Current { current: Vec::new(), target: named.filter(|n| target::by_name(n).is_some()) }.read(cx)?;
        let target = seen.target;
        let rules = rules_of(cx, &state, due)?;
        let confirmed_for = match due {
            Some(Confirmed::Profile { target, .. }) => target::by_name(target),
            _ => None,
        };
        let mut found = Vec::new();
        let mut integrity = None;
        // What is confirmed is for one firewall, whichever is looked at.
        if let (Some(rules), Some(confirmed_for)) = (&rules, confirmed_for) {
            let is = Integrity::of(confirmed_for, &seen.live, rules)?;
            integrity = Some(is);
            found.extend(drift(is));
            found.extend(elsewhere(confirmed_for, &seen.live, &rules.settings)?);
            let verified = verify(&rules.policy, seen.ruleset(), &Scope::of_policy(&rules.policy));
            found.extend(findings(&rules.policy, target.platform(), seen.ruleset(), &verified));
        } else {
            found.extend(crate::change::of_host(target.platform(), seen.ruleset()));
            if !holders(target.platform(), seen.ruleset()).is_empty() {
                found.push(match due {
                    Some(Confirmed::Absent) => Finding::drift("our rules are loaded, and it is confirmed that none are"),
                    _ => Finding::unconfirmed(),
                });
            }
        }
        if let Some(p) = pending.as_ref().filter(|p| !p.waits) {
            found.push(Finding::cut_off(&p.id));
        }
        Ok(HostStatus {
            target: target.spec().name,
            other: confirmed_for.map(|t| t.spec().name).filter(|name| *name != target.spec().name),
            loaded: target.has_ours(seen.ruleset()),
            loaded_digest: seen.live.digest(target),
            confirmed,
            integrity,
            waiting: pending.filter(|p| p.waits).map(|p| Waiting { id: p.id, confirm_by: p.confirm_by }),
            last: state.entries().map_err(failure)?.last().map(EntryObject::from),
            counters: target.counters(&seen.live.listing).into_iter().map(CounterObject::from).collect(),
            findings: found.iter().map(FindingShape::from).collect(),
            found,
        })
    }
}

fn drift(integrity: Integrity) -> Option<Finding> {
    match integrity {
        Integrity::Intact => None,
        Integrity::Altered => Some(Finding::drift("our rules are not loaded as they were confirmed")),
        Integrity::Absent => Some(Finding::drift("our rules are confirmed, but none of them are loaded")),
    }
}

/// That our rules are in another firewall, or another variant of it, than they are confirmed for.
fn elsewhere(target: &dyn Target, live: &Live, settings: &TargetSettings) -> Result<Option<Finding>, Failure> {
    let name = target.spec().name;
    let held = holders(target.platform(), &live.ruleset);
    if !held.is_empty() && !held.contains(&name) {
        let held = held.join(" and ");
        let help = "`harden993 restore` loads them where they are confirmed; `harden993 remove --target NAME` takes these away";
        return Ok(Some(Finding::elsewhere(&held, name, help.to_owned())));
    }
    let loaded = target.place(&live.listing).map_err(|e| failure(e.into()))?;
    Ok(match (loaded, target.asked_place(settings)) {
        (Some(loaded), Some(asked)) if loaded != asked => {
            let (loaded, asked) = (format!("the variant {loaded} of {name}"), format!("the variant {asked}"));
            Some(Finding::elsewhere(&loaded, &asked, "`harden993 restore` moves them".to_owned()))
        }
        _ => None,
    })
}

impl Report for HostStatus {
    fn exit(&self) -> Exit {
        Exit::finding(self.found.iter().any(|f| f.severity > crate::change::Severity::Note))
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        let (role, word) = match (self.loaded, self.integrity) {
            (true, Some(Integrity::Intact)) if self.waiting.is_some() => (Role::Warn, "loaded, and waits to be confirmed"),
            _ if self.other.is_some() => {
                (Role::Warn, if self.loaded { "some of our rules are loaded" } else { "none of our rules are loaded" })
            }
            (false, _) => (Role::Warn, "none of our rules are loaded"),
            (true, Some(Integrity::Intact)) => (Role::Good, "loaded as confirmed"),
            (true, Some(_)) => (Role::Bad, "loaded, but not as confirmed"),
            (true, None) => (Role::Warn, "loaded, but not confirmed"),
        };
        let line = Line::new().strong(self.target).plain(": ").with(role, word);
        page.line(match self.other {
            Some(other) => line.plain(format!("; what is confirmed is for {other}")),
            None => line,
        });
        if let Some(digest) = &self.loaded_digest {
            page.line(Line::new().dim("  policy   ").plain(digest));
        }
        if let Some(waiting) = &self.waiting {
            let by = waiting.confirm_by.as_deref().unwrap_or("no time");
            page.line(Line::new().with(Role::Warn, "  waits    ").plain(format!("the apply {}, until {by}", waiting.id)));
        }
        if let Some(last) = &self.last {
            let row = last.row().into_iter().enumerate();
            page.line(row.fold(Line::new().dim("  last     "), |line, (i, cell)| {
                let mut line = if i > 0 { line.plain("  ") } else { line };
                line.0.extend(cell.0);
                line
            }));
        }
        for counter in &self.counters {
            let text = format!("{} {} packets, {} bytes", counter.name, counter.packets, counter.bytes);
            page.line(Line::new().dim("  counter  ").plain(text));
        }
        if !self.found.is_empty() {
            page.gap();
            shape::findings(&mut page, &self.found);
        }
        page
    }
}
