//! `verify`: does what is loaded do what the profile says, for every address, other people's rules included.

use clap::Args;
use serde::Serialize;

use crate::change::{Finding, Live, Verified, findings, is_loaded, verify};
use crate::net::AddrSet;
use crate::target::{Target, Wanted};

use super::asking::Asking;
use super::current::{Current, failure};
use super::profile::{today, usable};
use super::shape::{self, Lists, Count, Counts, FindingShape, Networks, QuestionShape, UnknownShape};
use super::wanted::Rules;
use super::{Context, Exit, Failure, Line, Page, Report, Role, Verb};

/// Prove that what is loaded does what the profile says, for every address
///
/// All rules count, whoever wrote them. It tells who is trusted but refused, who is not trusted but gets in, and of whom it
/// cannot be told and why.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  harden993 verify\n  harden993 verify --current mail2.capture --format json\n\n\
    Exit codes: 0 it does, 1 somebody is missing, in excess or unknown.")]
pub struct Verify {
    #[command(flatten)]
    current: Current,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    lists: Lists,
}

/// Whether a ruleset does what a profile says.
#[derive(Debug, Serialize)]
pub struct Verification {
    target: &'static str,
    holds: bool,
    integrity: Integrity,
    questions: Vec<Answered>,
    findings: Vec<FindingShape>,
    #[serde(skip)]
    found: Vec<Finding>,
    #[serde(skip)]
    lists: Lists,
}

#[derive(Debug, Serialize)]
struct Answered {
    #[serde(flatten)]
    question: QuestionShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excess: Option<Networks>,
    unknown: Vec<UnknownShape>,
    counts: Counts,
    #[serde(skip)]
    verified: Verified,
}

/// Whether what is loaded of ours is what was rendered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Integrity {
    /// It is.
    Intact,
    /// Somebody changed it, or another policy is loaded.
    Altered,
    /// Nothing of ours is loaded.
    Absent,
}

impl Integrity {
    /// Compares what is loaded of ours with rules.
    pub(super) fn of(target: &dyn Target, live: &Live, rules: &Rules) -> Result<Self, Failure> {
        if !target.has_ours(&live.ruleset) {
            return Ok(Self::Absent);
        }
        let job = rules.job();
        let same = is_loaded(live, target, Wanted::Rendering(&job, &rules.files), &rules.settings).map_err(failure)?;
        Ok(if same { Self::Intact } else { Self::Altered })
    }
}

impl Verb for Verify {
    type Report = Verification;

    fn run(self, cx: &Context<'_>) -> Result<Verification, Failure> {
        let profile = usable(cx, today(cx.host))?;
        let seen = self.current.read(cx)?;
        let rules = Rules::of(&profile, seen.target, None, false)?;
        let scope = self.asking.scope(Some(&rules.policy))?;
        let verified = verify(&rules.policy, seen.ruleset(), &scope);
        let found = findings(&rules.policy, seen.target.platform(), seen.ruleset(), &verified);
        let list = |set: &AddrSet| (!self.lists.summary).then(|| Networks(set.clone()));
        let questions: Vec<Answered> = verified
            .into_iter()
            .map(|v| Answered {
                question: (&v.asked).into(),
                missing: list(&v.missing),
                excess: list(&v.excess),
                unknown: UnknownShape::list(&v.unknown, self.lists.summary),
                counts: Counts::from([
                    ("missing", Count::from(&v.missing)),
                    ("excess", Count::from(&v.excess)),
                    ("unknown", Count::from(&shape::union(&v.unknown))),
                ]),
                verified: v,
            })
            .collect();
        Ok(Verification {
            target: seen.target.spec().name,
            holds: questions.iter().all(|q| q.verified.holds()),
            integrity: Integrity::of(seen.target, &seen.live, &rules)?,
            questions,
            findings: found.iter().map(FindingShape::from).collect(),
            found,
            lists: self.lists,
        })
    }
}

impl Report for Verification {
    fn exit(&self) -> Exit {
        Exit::finding(!self.holds)
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        let (role, word) = if self.holds {
            (Role::Good, "holds: whoever is trusted gets in, and nobody else")
        } else {
            (Role::Bad, "does not hold")
        };
        page.line(Line::new().strong(self.target).plain(" ").with(role, word));
        page.line(match self.integrity {
            Integrity::Intact => Line::new().plain("  our rules are loaded as they were rendered"),
            Integrity::Altered => Line::new().with(Role::Warn, "  our rules are not those that this profile renders")
                .plain(" (`harden993 diff` shows the difference)"),
            Integrity::Absent => Line::new().with(Role::Warn, "  none of our rules are loaded"),
        });
        let same = |a: &&Answered, b: &&Answered| {
            (&a.verified.missing, &a.verified.excess, &a.verified.unknown)
                == (&b.verified.missing, &b.verified.excess, &b.verified.unknown)
        };
        let differ = self.questions.iter().filter(|q| !q.verified.holds());
        for (question, ports, q) in shape::by_port(differ, |q| q.question.clone(), same) {
            page.gap().line(question.head(&ports));
            shape::networks(&mut page, Role::Bad, "missing", &q.verified.missing, self.lists);
            shape::networks(&mut page, Role::Bad, "excess", &q.verified.excess, self.lists);
            shape::unknown(&mut page, &q.verified.unknown, self.lists);
        }
        if !self.found.is_empty() {
            page.gap();
            shape::findings(&mut page, &self.found);
        }
        page
    }
}
