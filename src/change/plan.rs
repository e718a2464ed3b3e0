//! The plan: what is loaded, what is wanted, what the difference is as text and as addresses, and how to load it.

use sha2::{Digest as _, Sha256};

use crate::host::Host;
use crate::policy::TargetSettings;
use crate::ruleset::Ruleset;
use crate::target::{Listing, Loading, Target, Wanted};

use super::state::Side;
use super::text::unified;
use super::{ChangeError, Effect, Live, Scope, effect};

/// What is to be loaded, and for whom the effect is told.
#[derive(Clone, Debug)]
pub struct Goal<'a> {
    /// The target.
    pub target: &'static dyn Target,
    /// What is to stand in the place of our objects.
    pub wanted: Wanted<'a>,
    /// What the profile says to the target.
    pub settings: &'a TargetSettings,
    /// The connections whose effect is told.
    pub scope: &'a Scope,
}

/// A difference between a host and a goal.
#[derive(Debug)]
pub struct Plan {
    /// The host as it was read.
    pub live: Live,
    /// The host as it will be.
    pub after: Ruleset,
    /// What of ours is loaded.
    pub old: Side,
    /// What of ours is to be loaded.
    pub new: Side,
    /// Whether loading would change anything.
    pub changed: bool,
    /// The unified diff; empty if nothing of the rules changes.
    pub text: String,
    /// The effect.
    pub effects: Vec<Effect>,
}

impl Plan {
    /// Compares a host, or a listing of one, with a goal.
    pub fn of(live: Live, goal: &Goal<'_>) -> Result<Self, ChangeError> {
        let target = goal.target;
        let Sides { rendered, loaded, wanted, old, new } = Sides::of(&live, target, goal.wanted, goal.settings)?;
        let changed = !old.is(&new);
        let after = target.replace_ours(&live.ruleset, &rendered);
        let effects = if changed { effect(&live.ruleset, &after, goal.scope) } else { Vec::new() };
        Ok(Self { text: unified(&loaded, &wanted), after, old, new, changed, effects, live })
    }

    /// The plan of taking ours away from several firewalls of one host, told as one; the goal is that of the first.
    pub fn of_all(live: Live, targets: &[&'static dyn Target], goal: &Goal<'_>) -> Result<Self, ChangeError> {
        if targets.len() < 2 {
            return Self::of(live, goal);
        }
        let before = live.ruleset.clone();
        let mut plan = Self::of(live, goal)?;
        let loaded: Vec<String> = targets.iter().map(|t| t.print(&before)).filter(|t| !t.is_empty()).collect();
        plan.text = unified(&loaded.join("\n"), "");
        plan.after = targets.iter().fold(before.clone(), |rest, t| t.replace_ours(&rest, &Ruleset::default()));
        plan.effects = effect(&before, &plan.after, goal.scope);
        Ok(plan)
    }

    /// From which variant of the firewall ours goes to which, if it does.
    pub fn moved(&self) -> Option<(&str, &str)> {
        let (old, new) = (self.old.place.as_deref()?, self.new.place.as_deref()?);
        (old != new).then_some((old, new))
    }

    /// How the host is brought to the goal.
    pub fn loading(&self, goal: &Goal<'_>) -> Result<Loading, ChangeError> {
        Ok(goal.target.loading(&self.live.listing, goal.wanted, goal.settings)?)
    }
}

/// Both sides of a comparison: what of ours is loaded, and what is wanted, as they print.
struct Sides {
    rendered: Ruleset,
    loaded: String,
    wanted: String,
    old: Side,
    new: Side,
}

impl Sides {
    fn of(
        live: &Live,
        target: &dyn Target,
        wanted: Wanted<'_>,
        settings: &TargetSettings,
    ) -> Result<Self, ChangeError> {
        let rendered = read_wanted(target, wanted)?;
        // Other targets of the platform may carry a digest too: the one that counts is this target's.
        let loaded = target.print(&live.ruleset);
        let old = Side::of(&loaded, live.digest(target), target.place(&live.listing)?);
        let place = match wanted {
            Wanted::Absent => None,
            Wanted::Snapshot(text) | Wanted::Anew(text) => target.place(&Listing::parse(text))?,
            Wanted::Rendering(..) => target.asked_place(settings),
        };
        let wanted = target.print(&rendered);
        let new = Side::of(&wanted, rendered.digest.clone(), place);
        Ok(Self { rendered, loaded, wanted, old, new })
    }
}

/// Whether what is loaded of ours is what is wanted, by the measure of [`Plan::changed`]: rules, digest and variant.
pub fn is_loaded(
    live: &Live,
    target: &dyn Target,
    wanted: Wanted<'_>,
    settings: &TargetSettings,
) -> Result<bool, ChangeError> {
    let sides = Sides::of(live, target, wanted, settings)?;
    Ok(sides.old.is(&sides.new))
}

/// What of ours a host has loaded now, to be held against what was to be loaded.
pub fn side(host: &dyn Host, target: &dyn Target) -> Result<(Live, Side), ChangeError> {
    let live = Live::read(host, target.platform())?;
    let found = Side::of(&target.print(&live.ruleset), live.digest(target), target.place(&live.listing)?);
    Ok((live, found))
}

impl Side {
    /// What is printed of ours, the digest that it carries, and where it is.
    pub(super) fn of(print: &str, digest: Option<String>, place: Option<String>) -> Self {
        Self { print: (!print.is_empty()).then(|| fingerprint(print)), digest, place }
    }

    /// Whether this, which is loaded, is what was wanted.
    pub(super) fn is(&self, wanted: &Self) -> bool {
        self.digest == wanted.digest && self.has_rules_of(wanted)
    }

    /// Whether the rules of this are those of another time, whatever digest they carry.
    pub(super) fn has_rules_of(&self, wanted: &Self) -> bool {
        self.print == wanted.print && (wanted.place.is_none() || self.place == wanted.place)
    }
}

/// What is wanted, as it reads.
fn read_wanted(target: &dyn Target, wanted: Wanted<'_>) -> Result<Ruleset, ChangeError> {
    let mut out = Ruleset::default();
    match wanted {
        Wanted::Absent => {}
        Wanted::Snapshot(text) | Wanted::Anew(text) => out = target.read(&Listing::parse(text))?,
        Wanted::Rendering(_, files) => {
            for file in files {
                out.join(target.read(&Listing::of_text(file.content.as_str()))?);
            }
        }
    }
    Ok(out)
}

/// SHA-256 of a text, as 64 hexadecimal digits.
pub(super) fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut out, byte| {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        out
    })
}
