//! `check`: whether a profile is valid, and whether it is wise.

use clap::Args;
use serde::Serialize;

use crate::access::Interface;
use crate::diagnostic::codes;
use crate::net::AddrSet;
use crate::policy::{Policy, Zone};
use crate::target::{ALL, adapt};

use super::current::targets;
use super::problems::{Deviation, Problems};
use super::profile::{Day, load, whole};
use super::shape::{self, Count};
use super::{Context, Exit, Failure, Page, Report, Role, Verb};

/// Check whether the profile is valid, and whether it is wise
#[derive(Debug, Args)]
#[command(after_long_help = "\
Every problem is shown, with its place and a way out. An error means that the profile is not used; a warning can be \
silenced by its code, under [check]: allow = [\"wide-network\"].

Exit codes: 0 valid, 1 there are warnings (with --strict), 2 there are errors.

Examples:
  harden993 check
  harden993 check --strict --target nftables --target pf
  harden993 check --profile - --format json < harden993.toml")]
pub struct Check {
    /// Exit with 1 if there are warnings
    #[arg(long)]
    strict: bool,

    /// Say also what this target cannot do or does otherwise; can be repeated
    #[arg(long, value_name = "TARGET", value_parser = targets())]
    target: Vec<String>,

    /// Leave out the single problems, keep the numbers
    #[arg(long)]
    summary: bool,

    #[command(flatten)]
    day: Day,
}

/// What is to be said about a profile.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// None if only the numbers are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<Problems>,
    counts: CheckCounts,
    deviations: Vec<Deviation>,
    /// How many errors and how many warnings there are, also in words, and the name of the profile's file.
    #[serde(skip)]
    found: ((usize, usize), String, String),
    #[serde(skip)]
    trusted: String,
    #[serde(skip)]
    strict: bool,
}

/// How much there is.
#[derive(Debug, Serialize)]
struct CheckCounts {
    /// Who is trusted by every interface, as `networks` lists them.
    trusted: Count,
    problems: ProblemCounts,
}

#[derive(Debug, Serialize)]
struct ProblemCounts {
    error: usize,
    warning: usize,
}

impl Verb for Check {
    type Report = Checked;

    fn run(self, cx: &Context<'_>) -> Result<Checked, Failure> {
        let mut loaded = load(cx, self.day.date(cx)?)?;
        let (mut deviations, mut refused) = (Vec::new(), Vec::new());
        if let Some(policy) = &loaded.policy {
            for target in ALL.iter().filter(|t| self.target.iter().any(|n| n == t.spec().name)) {
                let name = target.spec().name;
                match adapt(*target, policy, &loaded.asked, &loaded.target(name)) {
                    Ok(adapted) => {
                        deviations.extend(adapted.deviations.into_iter().map(|what| Deviation { target: name, what }));
                    }
                    Err(refusals) => {
                        refused.extend(refusals.into_iter().map(|r| whole(&codes::TARGET_CANNOT, r.message, r.help)));
                    }
                }
            }
        }
        loaded.problems.extend(refused);
        let (anywhere, by) = loaded.policy.as_ref().map_or_else(Default::default, trusted);
        let problems = Problems { list: loaded.problems, files: loaded.files };
        let name = problems.files.iter().next().map_or_else(String::new, |f| f.name.clone());
        Ok(Checked {
            counts: CheckCounts {
                trusted: Count::from(&anywhere),
                problems: ProblemCounts { error: problems.count().0, warning: problems.count().1 },
            },
            found: (problems.count(), problems.summary(), name),
            problems: (!self.summary).then_some(problems),
            trusted: by.iter().fold(shape::numbers(&anywhere), |text, (interfaces, set)| {
                format!("{text}; by {interfaces} also {}", shape::numbers(set))
            }),
            deviations,
            strict: self.strict,
        })
    }
}

/// Who is trusted by every interface, and who beside them by some, with the names of these.
fn trusted(policy: &Policy) -> (AddrSet, Vec<(String, AddrSet)>) {
    let of = |zone: &Zone| {
        policy.trusted_classes().fold(AddrSet::new(), |set, (id, _)| set.union(&zone.partition.members(id)))
    };
    let anywhere = of(policy.zone(&Interface::Fresh(String::new())));
    let by = policy.zones.iter().filter(|z| !z.patterns.is_empty()).map(|zone| {
        let names: Vec<String> = zone.patterns.iter().map(ToString::to_string).collect();
        (names.join(", "), of(zone).minus(&anywhere))
    });
    let by = by.filter(|(_, set)| !set.is_empty()).collect();
    (anywhere, by)
}

impl Report for Checked {
    fn exit(&self) -> Exit {
        match self.found.0 {
            (0, 0) => Exit::Clean,
            (0, _) => Exit::finding(self.strict),
            _ => Exit::Wrong,
        }
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        let ((errors, warnings), summary, name) = self.found;
        if let Some(problems) = self.problems {
            page.problems(problems);
        }
        if !self.deviations.is_empty() {
            for deviation in &self.deviations {
                page.line(super::Line::new().strong(deviation.target).plain(": ").plain(&deviation.what));
            }
            page.gap();
        }
        let line = super::Line::new().strong(name).plain(": ");
        page.line(match (errors, warnings) {
            (0, 0) => line.with(Role::Good, "valid").plain(format!("; it trusts {}", self.trusted)),
            (0, _) => line
                .with(Role::Good, "valid")
                .plain("; ")
                .with(Role::Warn, summary)
                .plain(format!("; it trusts {}", self.trusted)),
            _ => line.with(Role::Bad, "invalid").plain("; ").with(Role::Bad, summary),
        });
        page
    }
}
