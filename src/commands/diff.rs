//! `diff`: what would change on a host, as rules and as addresses.

use clap::Args;
use serde::Serialize;

use crate::change::{Effect, Finding, Goal, Plan, findings, verify};
use crate::net::AddrSet;
use crate::target::Wanted;

use super::asking::Asking;
use super::current::{Current, Seen, failure};
use super::effect::{EffectObject, Expected, Why};
use super::markdown::Comment;
use super::profile::{today, usable};
use super::shape::{self, Lists, FindingShape};
use super::wanted::Rules;
use super::{Context, Exit, Failure, Line, Page, Report, Role, Verb};

/// Show what loading the profile would change, as rules and as addresses
///
/// The rules as a unified diff in which order, counters, handles and spellings never show; and the effect: who gains, loses
/// or keeps access, other people's rules included.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  harden993 diff\n  harden993 diff --current mail2.capture --format markdown\n  \
    harden993 diff --current prod.nft --expect-gain 198.51.100.0/24 --expect-loss none\n\n\
    Exit codes: 0 loading would change nothing, 1 it would. With --expect-…: 0 exactly if the effect is the one expected.")]
pub struct Diff {
    #[command(flatten)]
    current: Current,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    expected: Expected,
    #[command(flatten)]
    lists: Lists,
}

/// What would change.
#[derive(Debug, Serialize)]
pub struct Difference {
    target: &'static str,
    changed: bool,
    digest: String,
    loaded_digest: Option<String>,
    text: String,
    effect: Vec<EffectObject>,
    findings: Vec<FindingShape>,
    #[serde(skip)]
    exit: Exit,
    #[serde(skip)]
    effects: Vec<Effect>,
    #[serde(skip)]
    found: Vec<Finding>,
    #[serde(skip)]
    why: Why,
    #[serde(skip)]
    unexpected: Vec<Finding>,
    #[serde(skip)]
    lists: Lists,
}

impl Verb for Diff {
    type Report = Difference;

    fn run(self, cx: &Context<'_>) -> Result<Difference, Failure> {
        let profile = usable(cx, today(cx.host))?;
        let Seen { target, live, .. } = self.current.read(cx)?;
        let rules = Rules::of(&profile, target, None, false)?;
        let scope = self.asking.scope(Some(&rules.policy))?;
        let job = rules.job();
        let goal = Goal { target, wanted: Wanted::Rendering(&job, &rules.files), settings: &rules.settings, scope: &scope };
        let plan = Plan::of(live, &goal).map_err(failure)?;
        let verified = verify(&rules.policy, &plan.after, &scope);
        let mut found = findings(&rules.policy, target.platform(), &plan.after, &verified);
        found.extend(plan.moved().map(|(from, to)| Finding::moved(from, to)));
        let unexpected = self.expected.differences(&plan.effects)?;
        let exit = if self.expected.is_given() { !unexpected.is_empty() } else { plan.changed };
        Ok(Difference {
            target: target.spec().name,
            changed: plan.changed,
            digest: rules.digest.to_string(),
            loaded_digest: plan.old.digest.clone(),
            effect: plan.effects.iter().map(|e| EffectObject::new(e, self.lists.summary)).collect(),
            findings: found.iter().chain(&unexpected).map(FindingShape::from).collect(),
            exit: Exit::finding(exit),
            why: Why::of(&plan, &profile.loaded.provenance),
            text: plan.text,
            effects: plan.effects,
            found,
            unexpected,
            lists: self.lists,
        })
    }
}

impl Report for Difference {
    fn exit(&self) -> Exit {
        self.exit
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        super::effect::text(&mut page, &self.text, self.lists);
        let moves = self.found.iter().any(|f| f.code == "moved");
        if self.changed && self.text.is_empty() && !moves {
            page.line(Line::new().dim("the rules stay; only the digest of the policy that they carry changes"));
        }
        super::effect::page(&mut page, &self.effects, &self.why, self.lists);
        if !self.unexpected.is_empty() {
            page.gap();
            for finding in &self.unexpected {
                page.line(Line::new().with(Role::Bad, "not as expected: ").plain(&finding.message));
            }
        }
        // What does not change is silent: the findings of an unchanged host are `verify`'s.
        if self.changed && !self.found.is_empty() {
            page.gap();
            shape::findings(&mut page, &self.found);
        }
        page
    }

    const MARKDOWN: bool = true;

    fn markdown(&self) -> String {
        let comment = Comment {
            target: self.target,
            changed: self.changed,
            text: &self.text,
            effects: &self.effects,
            why: &self.why,
            findings: &self.found,
            unexpected: &self.unexpected,
            lists: self.lists,
        };
        comment.text()
    }
}

impl Effect {
    /// The addresses of one list over all questions.
    pub(super) fn union(effects: &[Self], list: &str) -> AddrSet {
        let pick = Self::LISTS.iter().find(|(name, _)| *name == list).map(|(_, pick)| pick);
        pick.map_or_else(AddrSet::new, |pick| effects.iter().fold(AddrSet::new(), |set, e| set.union(pick(e))))
    }
}
