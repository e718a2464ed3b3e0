//! `reach`: who can open a connection under a ruleset, ours or not.

use clap::Args;
use serde::Serialize;

use crate::change::{self, Finding, of_host};
use crate::net::AddrSet;

use super::asking::Asking;
use super::current::Current;
use super::profile::ports;
use super::shape::{self, Lists, Counts, Networks, QuestionShape, UnknownShape};
use super::{Context, Exit, Failure, Line, Page, Report, Role, Verb};

/// Who can open a connection to the port under a ruleset, whoever wrote it
///
/// No profile is needed. What is not known is said to be unknown, with the reason and the rule.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  harden993 reach\n  harden993 reach --port 22 --current ruleset.nft\n  \
    iptables-save | harden993 reach --current -\n\nExit codes: 1 only if something is unknown.")]
pub struct Reach {
    #[command(flatten)]
    current: Current,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    lists: Lists,
}

/// Who can open a connection.
#[derive(Debug, Serialize)]
pub struct Reached {
    source: String,
    questions: Vec<Answered>,
    #[serde(skip)]
    lists: Lists,
    #[serde(skip)]
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Answered {
    #[serde(flatten)]
    question: QuestionShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    reachable: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Networks>,
    unknown: Vec<UnknownShape>,
    counts: Counts,
    #[serde(skip)]
    reach: change::Reach,
}

impl Verb for Reach {
    type Report = Reached;

    fn run(self, cx: &Context<'_>) -> Result<Reached, Failure> {
        let seen = self.current.read(cx)?;
        let mut scope = self.asking.scope(None)?;
        if !self.asking.names_port()
            && let Some(ports) = ports(cx)?
        {
            scope.ports = ports;
        }
        let list = |set: &AddrSet| (!self.lists.summary).then(|| Networks::from(set));
        let answered = change::reach(seen.ruleset(), &scope).into_iter().map(|reach| Answered {
            question: (&reach.asked).into(),
            reachable: list(&reach.reachable),
            limited: list(&reach.limited),
            refused: list(&reach.refused),
            unknown: UnknownShape::list(&reach.unknown, self.lists.summary),
            counts: Counts::from([
                ("reachable", (&reach.reachable).into()),
                ("limited", (&reach.limited).into()),
                ("refused", (&reach.refused).into()),
                ("unknown", (&shape::union(&reach.unknown)).into()),
            ]),
            reach,
        });
        Ok(Reached {
            questions: answered.collect(),
            lists: self.lists,
            findings: of_host(seen.target.platform(), seen.ruleset()),
            source: seen.source,
        })
    }
}

impl Report for Reached {
    fn exit(&self) -> Exit {
        Exit::finding(self.questions.iter().any(|q| !q.reach.unknown.is_empty()))
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        let same = |a: &&Answered, b: &&Answered| {
            (&a.reach.reachable, &a.reach.limited, &a.reach.refused, &a.reach.unknown)
                == (&b.reach.reachable, &b.reach.limited, &b.reach.refused, &b.reach.unknown)
        };
        for (question, ports, answered) in shape::by_port(self.questions.iter(), |q| q.question.clone(), same) {
            page.gap().line(question.head(&ports));
            let reach = &answered.reach;
            let whole = |set: &AddrSet| (set.v4.count(), set.v6.count());
            if whole(&reach.reachable) == whole(&everybody()) {
                page.line(Line::new().plain("  ").with(Role::Bad, "open to the world"));
            } else {
                shape::networks(&mut page, Role::Good, "reachable", &reach.reachable, self.lists);
            }
            shape::networks(&mut page, Role::Good, "limited", &reach.limited, self.lists);
            page.line(Line::new().plain("  ").with(Role::Strong, format!("{:<10}", "refused")).plain(shape::numbers(&reach.refused)));
            shape::unknown(&mut page, &reach.unknown, self.lists);
        }
        if !self.findings.is_empty() {
            page.gap();
            shape::findings(&mut page, &self.findings);
        }
        page
    }
}

/// Every source from which a connection can come.
fn everybody() -> AddrSet {
    crate::net::no_source().complement()
}
