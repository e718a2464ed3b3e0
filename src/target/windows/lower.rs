//! What a Windows Firewall holds as one stage of first-match rules.
//!
//! Windows settles conflicts by the action alone: bypass before Block before Allow, then the network profile's default
//! (MS-FASP 2.2.34). Written in that order, the rules decide by first match. Each network profile is a chain of its own where
//! profiles differ, since which of them a connection falls under is a property of the network and not of the packet.

use crate::access::{Pattern, Refuse, RuleId};
use crate::ruleset::{ChainId, Hook, Match, Origin, Rule, Ruleset, Stage, Then};

use super::Action;

/// The chain of our own rules of an action, inside of a profile's chain.
pub(super) const OURS: &str = "harden993";

/// One rule that is in force, with the tests of the source apart from the others.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Selected {
    /// What it does.
    pub(super) action: Action,
    /// Whether it is of our group.
    pub(super) ours: bool,
    /// Whether it is stored on the host, and not sent by group policy.
    pub(super) local: bool,
    /// The network profiles for which it counts; none: all.
    pub(super) profiles: Option<Vec<String>>,
    /// Everything that it tests but the source.
    pub(super) scope: Vec<Match>,
    /// The test of the source.
    pub(super) source: Match,
    /// Where it was read.
    pub(super) origin: Origin,
}

impl Selected {
    fn counts_in(&self, profile: &NetworkProfile) -> bool {
        let named = |names: &Vec<String>| names.iter().any(|n| n.eq_ignore_ascii_case(&profile.name));
        self.profiles.as_ref().is_none_or(named) && !(self.local && profile.ignores_local)
    }
}

/// The settings of one network profile.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct NetworkProfile {
    /// Domain, Private or Public.
    pub(super) name: String,
    /// Whether it filters at all.
    pub(super) filters: bool,
    /// Whether it ignores every inbound rule ("block all incoming connections").
    pub(super) ignores_rules: bool,
    /// Whether it ignores rules that are stored on the host.
    pub(super) ignores_local: bool,
    /// Tests of packets of which nothing is known when no rule matches them.
    pub(super) undecided: Vec<Vec<Match>>,
    /// What happens to everything else that no rule matches.
    pub(super) default: Then,
    /// The interfaces that it does not filter.
    pub(super) unfiltered: Vec<Pattern>,
}

/// The one stage of a firewall with these profiles and rules; `ours` says whether there is nothing else in it than our own.
pub(super) fn lower(profiles: &[NetworkProfile], mut rules: Vec<Selected>, ours: bool) -> Ruleset {
    let mut ruleset = Ruleset::default();
    // A stable sort: inside of one kind the order of the listing is kept.
    rules.sort_by_key(|r| (r.action, !r.ours));
    let ids: Vec<RuleId> = rules.iter_mut().map(|r| ruleset.origin(std::mem::take(&mut r.origin))).collect();
    let builder = Builder { rules: &rules, ids: &ids };
    let mut distinct: Vec<(&NetworkProfile, Vec<&str>)> = Vec::new();
    for profile in profiles {
        match distinct.iter_mut().find(|(p, _)| builder.same(p, profile)) {
            Some((_, names)) => names.push(&profile.name),
            None => distinct.push((profile, vec![&profile.name])),
        }
    }
    let place = "network profile";
    let root = ruleset.chain("windows firewall");
    let origin = ruleset.origin(Origin {
        place: "windows firewall".into(),
        text: "loopback traffic is not filtered".to_owned(),
        ..Origin::default()
    });
    let loopback = Match::Interface(vec![Pattern::name("lo"), Pattern::name("lo0")]);
    ruleset.push(root, Rule { matches: vec![loopback], log: None, then: Then::Accept, origin });
    let last = distinct.len().saturating_sub(1);
    for (i, (profile, names)) in distinct.iter().enumerate() {
        let names = names.join(", ");
        let chain = builder.profile(&mut ruleset, profile, &names);
        let matches =
            if i == last { Vec::new() } else { vec![Match::Unknown("it depends on the network profile".to_owned())] };
        let text = format!("the rules of the network profile {names}");
        let origin = ruleset.origin(Origin { place: place.into(), text, ..Origin::default() });
        ruleset.push(root, Rule { matches, log: None, then: Then::Goto(chain), origin });
    }
    ruleset.stages.push(Stage {
        name: "windows firewall".to_owned(),
        hook: Hook::Input,
        priority: 0,
        family: None,
        nat: false,
        chain: root,
        policy: Then::Accept,
        ours,
    });
    ruleset
}

struct Builder<'a> {
    rules: &'a [Selected],
    ids: &'a [RuleId],
}

impl Builder<'_> {
    /// Whether two profiles decide alike.
    fn same(&self, a: &NetworkProfile, b: &NetworkProfile) -> bool {
        let settings = |p: &NetworkProfile| {
            let flags = (p.filters, p.ignores_rules, p.ignores_local);
            (flags, p.undecided.clone(), p.default.clone(), p.unfiltered.clone())
        };
        settings(a) == settings(b) && self.rules.iter().all(|r| r.counts_in(a) == r.counts_in(b))
    }

    fn profile(&self, ruleset: &mut Ruleset, profile: &NetworkProfile, names: &str) -> ChainId {
        let chain = ruleset.chain(names);
        let place: std::sync::Arc<str> = format!("network profile {names}").into();
        let say = |ruleset: &mut Ruleset, matches, then, text: &str| {
            let origin = ruleset.origin(Origin { place: place.clone(), text: text.to_owned(), ..Origin::default() });
            ruleset.push(chain, Rule { matches, log: None, then, origin });
        };
        if !profile.filters {
            say(ruleset, Vec::new(), Then::Accept, "the firewall is off");
            return chain;
        }
        if !profile.unfiltered.is_empty() {
            let matches = vec![Match::Interface(profile.unfiltered.clone())];
            say(ruleset, matches, Then::Accept, "the firewall is off on this interface");
        }
        if !profile.ignores_rules {
            for (action, ours) in [
                (Action::Bypass, false),
                (Action::Block, true),
                (Action::Block, false),
                (Action::Allow, true),
                (Action::Allow, false),
            ] {
                // Where rules of ours would not be in force there is no place for them.
                if ours && profile.ignores_local {
                    continue;
                }
                let section = self.section(ruleset, profile, action, ours);
                let text = format!("{} rules", section_name(action, ours));
                say(ruleset, Vec::new(), Then::Jump(section), &text);
            }
        }
        for scope in &profile.undecided {
            let because = "it depends on what else the host holds".to_owned();
            say(ruleset, scope.clone(), Then::Unknown(because), "what no rule matches");
        }
        say(ruleset, Vec::new(), profile.default.clone(), "what no rule matches");
        chain
    }

    /// The chain of one kind of rule. Rules that differ in their sources alone stand together behind one test of the rest.
    fn section(&self, ruleset: &mut Ruleset, profile: &NetworkProfile, action: Action, ours: bool) -> ChainId {
        let chain = ruleset.chain(section_name(action, ours));
        let then = if action == Action::Block { Then::Refuse(Refuse::Drop) } else { Then::Accept };
        // Our group holds no bypass; one that somebody puts there counts among the others'.
        let wanted =
            |r: &Selected| r.action == action && (r.ours == ours || action == Action::Bypass) && r.counts_in(profile);
        let chosen: Vec<usize> = (0..self.rules.len()).filter(|i| wanted(&self.rules[*i])).collect();
        for run in chosen.chunk_by(|a, b| self.rules[*a].scope == self.rules[*b].scope) {
            let scope = self.rules[run[0]].scope.clone();
            let alone = run.len() == 1;
            let inner = if alone { chain } else { ruleset.chain(format!("part of {}", section_name(action, ours))) };
            for i in run {
                let source = self.rules[*i].source.clone();
                let matches = if alone { scope.iter().cloned().chain([source]).collect() } else { vec![source] };
                ruleset.push(inner, Rule { matches, log: None, then: then.clone(), origin: self.ids[*i] });
            }
            if !alone {
                let origin = self.ids[run[0]];
                ruleset.push(chain, Rule { matches: scope, log: None, then: Then::Jump(inner), origin });
            }
        }
        chain
    }
}

/// The name of the chain of one kind of rule.
pub(super) fn section_name(action: Action, ours: bool) -> String {
    let whose = if ours { OURS } else { "other" };
    format!("{whose} {}", action.kind())
}
