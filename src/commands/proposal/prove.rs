//! The proof of a proposal: read as any profile, it lets in exactly whom the old rules let in, and so does its rendering.

use std::path::{Path, PathBuf};

use crate::access::{Access, Question};
use crate::change::Answer;
use crate::net::AddrSet;
use crate::profile::{self, Loaded, Origin};
use crate::target::{self, ALL, Target, adapt};

use super::doors::{Grants, Terms, everybody, pattern_of};
use super::share::Shared;
use super::{Code, Failure};

fn defect(why: &str) -> Failure {
    Failure::wrong(Code::Defect, format!("the proposal does not say what the rules say: {why}"))
        .help("this is a defect of harden993; please report it with the ruleset")
}

/// Reads the profile and holds it to the answers of the ruleset: every guarded port, every interface, both ways.
pub(super) fn hold(text: &str, shared: &Shared, guarded: &[(u16, Vec<Answer>)]) -> Result<Loaded, Failure> {
    let specs: Vec<_> = ALL.iter().map(|t| t.spec()).collect();
    let options = profile::Options { today: jiff::civil::Date::constant(2000, 1, 1), specs: &specs };
    let origin = Origin::Text { text: text.as_bytes().to_vec(), dir: PathBuf::from(".") };
    let none = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let loaded = profile::load(&origin, &options, &none);
    let Some(policy) = &loaded.policy else {
        let first = loaded.problems.iter().find(|p| p.is_error()).map_or_else(String::new, |p| p.message.clone());
        return Err(defect(&first));
    };
    for answer in guarded.iter().flat_map(|(_, answers)| answers).filter(|a| a.asked.to.is_none()) {
        let pattern = pattern_of(answer.asked.interface.as_deref());
        let Some(share) = shared.shares.iter().find(|s| s.pattern == pattern) else {
            return Err(defect(&format!("nothing is said of {pattern}")));
        };
        let Some(access) = answer.accesses.first() else { continue };
        let sources = answer.sources.minus(&share.lost);
        let question = Question { path: answer.asked.path, to: None, ..answer.question.clone() };
        let old = grants(access, &sources);
        let new = grants(&policy.answer(&question), &answer.sources);
        if old != new || !everybody(&share.taken).contains_all(&everybody(&new)) {
            let (a, b) = (everybody(&old), everybody(&new));
            let differ = a.minus(&b).union(&b.minus(&a));
            return Err(defect(&format!(
                "port {}, {:?}, interface {pattern}: {} differ",
                answer.asked.port,
                answer.asked.path,
                differ.brief(5)
            )));
        }
    }
    Ok(loaded)
}

/// Who gets in, on which terms.
fn grants(access: &Access, sources: &AddrSet) -> Grants {
    let mut out = Grants::new();
    for (outcome, set) in access.groups() {
        let Some(terms) = Terms::of(&outcome.verdict) else { continue };
        let set = set.intersect(sources);
        if !set.is_empty() {
            let all = out.entry(terms).or_default();
            *all = all.union(&set);
        }
    }
    out
}

/// Renders the profile for the ruleset's own firewall, which reads the rendering back and proves it. What that firewall
/// refuses is told, since the profile is right and may be meant for another.
pub(super) fn render(target: &dyn Target, loaded: &Loaded) -> Result<Vec<String>, Failure> {
    let Some(policy) = &loaded.policy else { return Ok(Vec::new()) };
    let settings = loaded.target(target.spec().name);
    let adapted = match adapt(target, policy, &loaded.asked, &settings) {
        Ok(adapted) => adapted,
        Err(refusals) => return Ok(refusals.into_iter().map(|r| format!("{}; {}", r.message, r.help)).collect()),
    };
    let job = adapted.job(policy.digest(), &loaded.name, &settings);
    target::render(target, &job).map_err(|e| defect(&e.to_string()))?;
    Ok(Vec::new())
}
