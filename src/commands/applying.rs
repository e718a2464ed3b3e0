//! What the commands that change a host share: the profile's rules for it, the report of a change, and its reading back.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use crate::change::{
    Applied, ChangeError, Closure, Confirmed, Effect, Entry, Finding, Held, Plan, Settled, Stage, State, Undone,
    left_behind, settle,
};
use crate::host::{Connection, Stream, Through, connections};
use crate::net::AddrSet;
use crate::policy::{Forwarded, Policy};
use crate::profile::Loaded;

use super::countdown::Came;
use super::current::failure;
use super::effect::{EffectObject, Why};
use super::guard::record;
use super::shape::{self, FindingShape, Lists};
use super::{Context, Exit, Failure, Line, Page, Report, Role};

/// A change of a host: what it is, and how far it came.
#[derive(Debug, Serialize)]
pub struct Change {
    target: &'static str,
    changed: bool,
    id: Option<String>,
    previous: Option<String>,
    digest: Option<String>,
    token: Option<String>,
    confirm_by: Option<String>,
    text: String,
    effect: Vec<EffectObject>,
    findings: Vec<FindingShape>,
    stage: Stage,
    #[serde(skip)]
    effects: Vec<Effect>,
    #[serde(skip)]
    found: Vec<Finding>,
    #[serde(skip)]
    why: Why,
    #[serde(skip)]
    lists: Lists,
    #[serde(skip)]
    stopped: Vec<String>,
    #[serde(skip)]
    shown: bool,
    #[serde(skip)]
    notes: Vec<String>,
    /// The firewall for people, or the firewalls.
    #[serde(skip)]
    place: String,
}

impl Change {
    /// A plan of which nothing is loaded yet.
    pub(super) fn planned(
        target: &'static str,
        plan: &Plan,
        digest: Option<String>,
        why: Why,
        found: Vec<Finding>,
        lists: Lists,
    ) -> Self {
        Self {
            target,
            changed: plan.changed,
            id: None,
            previous: None,
            digest,
            token: None,
            confirm_by: None,
            text: plan.text.clone(),
            effect: plan.effects.iter().map(|e| EffectObject::new(e, lists.summary)).collect(),
            findings: found.iter().map(FindingShape::from).collect(),
            stage: Stage::Planned,
            effects: plan.effects.clone(),
            found,
            why,
            lists,
            stopped: Vec::new(),
            shown: false,
            notes: Vec::new(),
            place: target.to_owned(),
        }
    }

    /// That there is nothing to change.
    pub(super) fn nothing(target: &'static str, found: Vec<Finding>) -> Self {
        Self {
            target,
            changed: false,
            id: None,
            previous: None,
            digest: None,
            token: None,
            confirm_by: None,
            text: String::new(),
            effect: Vec::new(),
            findings: found.iter().map(FindingShape::from).collect(),
            stage: Stage::Planned,
            effects: Vec::new(),
            found,
            why: Why::default(),
            lists: Lists::default(),
            stopped: Vec::new(),
            shown: false,
            notes: Vec::new(),
            place: target.to_owned(),
        }
    }

    /// The same change, of these firewalls.
    #[must_use]
    pub(super) fn of(mut self, names: &[&str]) -> Self {
        self.place = names.join(" and ");
        self
    }

    /// The same change, of an entry that was taken back.
    #[must_use]
    pub(super) fn put_back(mut self, entry: &Entry) -> Self {
        self.changed = true;
        self.id = Some(entry.id.clone());
        self.digest.clone_from(&entry.before.digest);
        self.stage = Stage::Restored;
        self
    }

    /// The same change, stopped by something that was asked for.
    #[must_use]
    pub(super) fn stopped(mut self, why: Vec<Finding>) -> Self {
        self.findings.extend(why.iter().map(FindingShape::from));
        self.stopped = why.into_iter().map(|f| f.message).collect();
        self
    }

    /// Shows the plan and asks, where somebody is there who can answer: the same change, and whether it may be made.
    pub(super) fn asked(mut self, cx: &Context<'_>, yes: bool, question: &str) -> Result<(Self, bool), Failure> {
        if yes || !cx.host.is_terminal(Stream::In) || !cx.host.is_terminal(Stream::Err) {
            return Ok((self, true));
        }
        cx.show(self.plan());
        self = self.shown();
        cx.ask(question);
        let answer = cx.host.answer(None)?.unwrap_or_default();
        let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
        if !agreed {
            self.stopped = vec!["the answer was not yes".to_owned()];
        }
        Ok((self, agreed))
    }

    /// The same change, made.
    #[must_use]
    pub(super) fn applied(mut self, applied: Applied) -> Self {
        self.id = Some(applied.id);
        self.previous = applied.previous;
        self.token = applied.token;
        self.confirm_by = applied.confirm_by;
        self.stage = applied.stage;
        self
    }

    /// The same change, after its countdown.
    #[must_use]
    pub(super) fn waited(mut self, came: Came) -> Self {
        match came {
            Came::Confirmed { cut } => {
                self.stage = Stage::Kept;
                self.token = None;
                self.confirm_by = None;
                if let Some(cut) = cut {
                    self.note(cut.to_string());
                }
            }
            // Nobody looks at the terminal any more; the guardian goes on.
            Came::Unwatched => {}
        }
        self
    }

    /// The same change, of which nothing had to be loaded.
    #[must_use]
    pub(super) fn kept(mut self) -> Self {
        self.stage = Stage::Kept;
        self
    }

    /// The same change, whose plan was shown already.
    #[must_use]
    pub(super) fn shown(mut self) -> Self {
        self.shown = true;
        self
    }

    /// Adds a line for people.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The plan, for people.
    pub(super) fn plan(&self) -> Page {
        let mut page = Page::new();
        super::effect::text(&mut page, &self.text, self.lists);
        super::effect::page(&mut page, &self.effects, &self.why, self.lists);
        if !self.found.is_empty() {
            page.gap();
            shape::findings(&mut page, &self.found);
        }
        page
    }
}

impl Report for Change {
    fn exit(&self) -> Exit {
        Exit::finding(!self.stopped.is_empty())
    }

    fn page(self) -> Page {
        let mut page = if self.shown { Page::new() } else { self.plan() };
        if !page.blocks.is_empty() {
            page.gap();
        }
        for why in &self.stopped {
            page.line(Line::new().with(Role::Bad, "stopped: ").plain(why));
        }
        let target = &self.place;
        let line = match self.stage {
            _ if !self.stopped.is_empty() => Line::from("nothing was changed"),
            Stage::Planned if self.changed => Line::from(format!("{target}: nothing was changed (this is the plan)")),
            _ if !self.changed => Line::from(format!("{target}: nothing to do")),
            Stage::Waiting => Line::new().with(Role::Warn, format!("{target}: loaded, and waits to be confirmed")),
            Stage::Kept if self.digest.is_none() => {
                Line::new().with(Role::Good, format!("{target}: our rules are taken away"))
            }
            Stage::Kept => Line::new().with(Role::Good, format!("{target}: loaded")),
            Stage::Restored => {
                Line::new().with(Role::Good, format!("{target}: the rules from before are loaded again"))
            }
            _ => Line::from(format!("{target}: planned")),
        };
        page.line(line);
        if let (Some(by), Some(token)) = (&self.confirm_by, &self.token) {
            page.line(format!("the old rules come back at {by} unless you run `harden993 confirm`"));
            page.line(Line::new().dim(format!("from a script: harden993 confirm --token {token}")));
        }
        for note in self.notes {
            page.line(note);
        }
        page
    }
}

/// Takes the lock and settles what earlier commands left behind. A dry run only says what that would be.
pub(super) fn hold<'a>(cx: &Context<'_>, state: &'a State<'a>, dry_run: bool) -> Result<(Held<'a>, Settled), Failure> {
    let held = state.lock().map_err(failure)?;
    let settled = settled(cx, &held, dry_run).map_err(failure)?;
    Ok((held, settled))
}

/// Settles what earlier commands left behind, for who holds the lock.
pub(super) fn settled(cx: &Context<'_>, held: &Held<'_>, dry_run: bool) -> Result<Settled, ChangeError> {
    if dry_run {
        return Ok(match left_behind(cx.host, held.state)? {
            Some(pending) if pending.waits => Settled::Waits(pending),
            Some(pending) => {
                cx.warn(format!("the apply {} was cut off; the next command finishes or undoes it", pending.id));
                Settled::Nothing
            }
            None => Settled::Nothing,
        });
    }
    let settled = settle(held)?;
    let said = match &settled {
        Settled::Kept(id) => format!("the apply {id} was cut off after its load; it is complete and kept"),
        Settled::Undone { id, how: Undone::CutOff } => {
            format!("the apply {id} was cut off; the rules from before it are loaded")
        }
        Settled::Undone { id, how: Undone::Overdue } => format!(
            "nobody confirmed the apply {id} in time, and its guardian did not put it back; the rules from before it are \
             loaded now"
        ),
        Settled::Undone { id, how: Undone::Rebooted } => {
            format!("a reboot took the apply {id} away before it was confirmed; what was confirmed before it counts")
        }
        Settled::Nothing | Settled::Waits(_) => return Ok(settled),
    };
    // A timer has no terminal: what it has settled must be found later.
    record(cx, &said);
    cx.warn(said);
    Ok(settled)
}

/// That another apply waits, as a failure.
pub(super) fn none_waits(settled: &Settled) -> Result<(), Failure> {
    match settled {
        Settled::Waits(p) => {
            Err(failure(ChangeError::Waits { id: p.id.clone(), confirm_by: p.confirm_by.clone().unwrap_or_default() }))
        }
        _ => Ok(()),
    }
}

/// Every file of a profile.
pub(super) fn closure(loaded: &Loaded) -> Closure {
    let files = loaded.files.iter().map(|f| (f.path.clone(), String::from_utf8_lossy(&f.content).into_owned()));
    Closure {
        profile: loaded.files.iter().next().map_or_else(PathBuf::new, |f| f.path.clone()),
        files: files.collect(),
    }
}

/// Who does it: the user behind sudo, else the user.
pub(super) fn who(cx: &Context<'_>) -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|v| cx.host.var(v).filter(|n| !n.is_empty()));
    // A unit or a container has no such variable.
    let name = named.or_else(|| {
        let ran = cx.host.run(&crate::host::Run::new("id", ["-un"])).ok().filter(crate::host::Ran::success)?;
        String::from_utf8(ran.stdout).ok().map(|t| t.trim().to_owned()).filter(|n| !n.is_empty())
    });
    name.unwrap_or_else(|| "unknown".to_owned()).chars().filter(|c| !c.is_control()).take(64).collect()
}

/// The address that this very command is run from over SSH, if the port that it came by is one of these.
pub(super) fn caller(cx: &Context<'_>, ports: &[u16]) -> Option<(IpAddr, u16)> {
    let connection = cx.host.var("SSH_CONNECTION")?;
    let words: Vec<&str> = connection.split_whitespace().collect();
    let (ip, port) = (words.first()?.parse().ok()?, words.get(3)?.parse().ok()?);
    ports.contains(&port).then_some((ip, port))
}

/// The open connections to some ports from some sources.
pub(super) fn open_from(
    cx: &Context<'_>,
    ports: &[u16],
    sources: &AddrSet,
    through: &Through,
) -> Result<BTreeSet<Connection>, Failure> {
    let all = connections(cx.host, ports, through)?;
    Ok(all.into_iter().filter(|c| sources.contains(c.peer)).collect())
}

/// The connections through this host that a policy is about.
pub(super) fn through(policy: &Policy) -> Through {
    match &policy.forwarded {
        Forwarded::No => Through::default(),
        Forwarded::Translated => Through { translated: true, ..Through::default() },
        Forwarded::Routed(to) => Through { translated: true, routed: to.clone() },
    }
}

/// A journal entry in reports.
#[derive(Debug, Serialize)]
pub struct EntryObject {
    id: String,
    at: String,
    by: String,
    action: String,
    target: String,
    digest: Option<String>,
    stage: Stage,
    confirmed: bool,
    counts: std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>,
}

impl From<&Entry> for EntryObject {
    fn from(e: &Entry) -> Self {
        Self {
            id: e.id.clone(),
            at: e.at.clone(),
            by: e.by.clone(),
            action: e.action.clone(),
            target: e.target.clone(),
            digest: e.digest.clone(),
            stage: e.stage,
            confirmed: e.confirmed,
            counts: e.counts.clone(),
        }
    }
}

impl EntryObject {
    /// The entry as a row of a table.
    pub(super) fn row(&self) -> Vec<Line> {
        let count = |list: &str| {
            let families = self.counts.get(list);
            let n = |f: &str| families.and_then(|c| c.get(f)).and_then(|t| t.parse::<u128>().ok());
            // More than half of a family is nearly everybody.
            match (n("ipv4").unwrap_or(0), n("ipv6").unwrap_or(0)) {
                (v4, v6) if v4 > 1 << 31 && v6 > 1 << 127 => "nearly everybody".to_owned(),
                (v4, v6) => shape::sizes(Some(v4), Some(v6)),
            }
        };
        vec![
            Line::new().strong(&self.id),
            Line::from(&self.action),
            Line::from(&self.target),
            Line::from(&self.by),
            Line::from(if self.confirmed { "confirmed" } else { "not kept" }),
            Line::new().with(Role::Good, format!("gained {}", count("gained"))),
            Line::new().with(Role::Bad, format!("lost {}", count("lost"))),
        ]
    }
}

/// Whether the same is confirmed already.
pub(super) fn is_confirmed(state: &State<'_>, target: &str, closed: bool, closure: &Closure) -> Result<bool, Failure> {
    let Some(Confirmed::Profile { id, target: t, closed: c }) = state.confirmed().map_err(failure)? else {
        return Ok(false);
    };
    Ok(t == target && c == closed && state.closure(&id).map_err(failure)?.as_ref() == Some(closure))
}
