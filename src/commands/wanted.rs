//! The rules that a profile wants on one firewall: adapted, rendered, proved.

use crate::diagnostic::{Files, codes};
use crate::net::Family;
use crate::policy::{Digest, Policy, TargetSettings};
use crate::target::{self, File, Job, RenderError, Target, adapt};

use super::profile::{Usable, whole};
use super::{Code, Failure, Problems};

/// The rules of a profile for one firewall.
#[derive(Debug)]
pub(super) struct Rules {
    /// The policy as the firewall will enforce it.
    pub(super) policy: Policy,
    /// The digest of the policy that the profile asks for.
    pub(super) digest: Digest,
    /// The profile's name.
    pub(super) name: String,
    /// What the profile says to the firewall.
    pub(super) settings: TargetSettings,
    /// What is done otherwise than asked.
    pub(super) deviations: Vec<String>,
    /// The one family that is rendered.
    pub(super) family: Option<Family>,
    /// The files.
    pub(super) files: Vec<File>,
}

impl Rules {
    /// Renders a profile, or with `closed` the same with nobody trusted, and proves the rendering.
    pub(super) fn of(
        profile: &Usable,
        target: &'static dyn Target,
        family: Option<Family>,
        closed: bool,
    ) -> Result<Self, Failure> {
        let name = target.spec().name;
        let asked = if closed { profile.policy.closed() } else { profile.policy.clone() };
        let settings = profile.loaded.target(name);
        let adapted = adapt(target, &asked, &profile.loaded.asked, &settings).map_err(|refusals| {
            let list = refusals.into_iter().map(|r| whole(&codes::TARGET_CANNOT, r.message, r.help)).collect();
            Failure::wrong(Code::Unsupported, format!("{name} cannot do what the profile asks for"))
                .problems(Problems { list, files: Files::default() })
        })?;
        let mut rules = Self {
            policy: adapted.policy,
            digest: asked.digest(),
            name: profile.loaded.name.clone(),
            settings,
            deviations: adapted.deviations,
            family,
            files: Vec::new(),
        };
        rules.files = target::render(target, &rules.job()).map_err(|e| failed(&e))?;
        Ok(rules)
    }

    /// The rules as a job.
    pub(super) fn job(&self) -> Job<'_> {
        Job {
            policy: &self.policy,
            digest: self.digest,
            name: &self.name,
            settings: &self.settings,
            deviations: &self.deviations,
            family: self.family,
        }
    }
}

/// What the caller can do about a rendering that failed: mostly nothing but to tell us.
fn failed(error: &RenderError) -> Failure {
    match error {
        RenderError::TooLarge { .. } => Failure::wrong(Code::Unsupported, error.to_string()),
        RenderError::Template { .. } | RenderError::Disproved(_) | RenderError::Unreadable(_) => {
            Failure::wrong(Code::Defect, error.to_string())
                .help("this is a defect of harden993, nothing was printed; please report it with the profile")
        }
    }
}
