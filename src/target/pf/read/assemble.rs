//! Anchors to the one model: last match becomes first match, and anchors are entered where they are called.
//!
//! In pf the last rule that matches decides, and a `quick` rule decides at once. That is: the quick rules in order, then
//! the others in reverse. An anchor is two chains, one of each kind, and whoever calls it jumps into the one and then, from
//! its own second chain, into the other. `anchor quick` ends evaluation if anything in it matched: it jumps into both at
//! once.

use std::collections::BTreeMap;

use crate::access::{Pattern, RuleId};
use crate::ruleset::{Chain, ChainId, CtState, Hook, Match, Origin, Rule as Plain, Ruleset, Stage, Then};

use super::super::ANCHOR;
use super::super::label::{self, Label};
use super::lower::Scope;
use super::statement::join;
use super::syntax::{Action, Anchors, Direction, Rule, Translation};

/// The name of a chain: of the quick rules of an anchor, or of its others.
pub(super) fn chain_name(path: &str, direction: Direction, quick: bool) -> String {
    let place = place(path);
    let direction = if direction == Direction::In { "in" } else { "out" };
    let kind = if quick { "quick" } else { "last match" };
    format!("{place}, {direction}, {kind}")
}

fn place(path: &str) -> String {
    if path.is_empty() { "pf".to_owned() } else { format!("pf anchor {path}") }
}

/// The two chains of an anchor in one direction.
#[derive(Clone, Copy)]
struct Pair {
    quick: ChainId,
    last: ChainId,
}

pub(super) fn assemble(anchors: &Anchors) -> Ruleset {
    let mut a = Assembler {
        anchors,
        out: Ruleset::default(),
        pairs: BTreeMap::new(),
        todo: Vec::new(),
        origins: BTreeMap::new(),
    };
    let main = a.pair("", Direction::In);
    a.drain();
    let called = a.pairs.contains_key(&(ANCHOR.to_owned(), Direction::In));
    let forwarded = a.pair("", Direction::Out);
    a.drain();
    let ours = anchors.by_path.get(ANCHOR).is_some_and(|o| !o.rules.is_empty());
    if ours && !called {
        a.out.remarks.push(format!(
            "the main ruleset never calls the anchor {ANCHOR}: its rules are loaded and not in force; pf.conf needs the \
             line `anchor \"{ANCHOR}\" in proto tcp`"
        ));
        a.pair(ANCHOR, Direction::In);
        a.drain();
    }
    if anchors.disabled {
        a.out.remarks.push("pf is switched off: no rule is in force; `pfctl -e` switches it on".to_owned());
    } else {
        a.stages(main, forwarded);
    }
    let labels = anchors.by_path.get(ANCHOR).into_iter().flat_map(|o| &o.rules);
    a.out.digest = label::digest(labels.filter_map(|r| r.label.as_deref()).filter_map(Label::parse));
    a.out
}

struct Assembler<'a> {
    anchors: &'a Anchors,
    out: Ruleset,
    pairs: BTreeMap<(String, Direction), Pair>,
    /// Anchors whose chains are still empty.
    todo: Vec<(String, Direction)>,
    /// The origin of each rule, by anchor and number, so that both directions share it.
    origins: BTreeMap<String, u32>,
}

impl Assembler<'_> {
    /// The chains of an anchor, to be filled later.
    fn pair(&mut self, path: &str, direction: Direction) -> Pair {
        let key = (path.to_owned(), direction);
        if let Some(pair) = self.pairs.get(&key) {
            return *pair;
        }
        let quick = self.out.chain(chain_name(path, direction, true));
        let last = self.out.chain(chain_name(path, direction, false));
        let pair = Pair { quick, last };
        self.pairs.insert(key.clone(), pair);
        self.todo.push(key);
        pair
    }

    /// Fills the chains of every anchor that is called.
    fn drain(&mut self) {
        while let Some((path, direction)) = self.todo.pop() {
            let pair = self.pair(&path, direction);
            let Some(anchor) = self.anchors.by_path.get(&path) else { continue };
            let scope = Scope { anchors: self.anchors, path: &path, ours: path == ANCHOR };
            let first = self.origins_of(&path);
            let (mut quick, mut last) = (Vec::new(), Vec::new());
            for (number, rule) in (first..).zip(&anchor.rules) {
                let origin = RuleId(number);
                if let Action::Anchor(Some(name)) = &rule.action {
                    self.call(&path, name, rule, direction, scope, origin, &mut quick, &mut last);
                    continue;
                }
                let rules = scope.rules(rule, direction, origin);
                // A match rule acts on the spot, on what comes after it.
                let at_once = rule.quick || rule.action == Action::Match;
                let target = if at_once { &mut quick } else { &mut last };
                // Several rules of one stay in order where the others are turned round.
                target.extend(if at_once { rules } else { rules.into_iter().rev().collect() });
            }
            last.reverse();
            self.fill(pair.quick, quick);
            self.fill(pair.last, last);
        }
    }

    fn fill(&mut self, chain: ChainId, rules: Vec<Plain>) {
        if let Some(Chain { rules: to, .. }) = self.out.chains.get_mut(chain.0 as usize) {
            *to = rules;
        }
    }

    /// The number of the first origin of an anchor's rules.
    fn origins_of(&mut self, path: &str) -> u32 {
        if let Some(first) = self.origins.get(path) {
            return *first;
        }
        let first = self.out.origins.len() as u32;
        let place: std::sync::Arc<str> = place(path).into();
        for rule in self.anchors.by_path.get(path).into_iter().flat_map(|a| &a.rules) {
            let (line, handle, text) = (rule.line, rule.number, rule.text.clone());
            self.out.origin(Origin { place: place.clone(), line, handle, text });
        }
        self.origins.insert(path.to_owned(), first);
        first
    }

    /// The call of an anchor, or of all anchors below a path (`name/*`).
    #[allow(clippy::too_many_arguments)] // a call is a rule in two chains, and both are being built
    fn call(
        &mut self,
        parent: &str,
        name: &str,
        rule: &Rule,
        direction: Direction,
        scope: Scope<'_>,
        origin: RuleId,
        quick: &mut Vec<Plain>,
        last: &mut Vec<Plain>,
    ) {
        let Some(matches) = scope.matches(rule, direction) else { return };
        let jump = |then| Plain { matches: matches.clone(), log: None, then, origin };
        let (called, open) = called(self.anchors, &join(parent, name));
        for path in called {
            let pair = self.pair(&path, direction);
            quick.push(jump(Then::Jump(pair.quick)));
            if rule.quick { quick.push(jump(Then::Jump(pair.last))) } else { last.push(jump(Then::Jump(pair.last))) }
        }
        if open {
            // Whatever it holds may be quick, so nothing that comes after it is certain.
            let name = name.trim_start_matches('/').escape_default();
            quick.push(jump(Then::Unknown(format!("the rules of the anchor {name} are not in the listing"))));
        }
    }

    /// The stages: translation, then filtering on the way in, then on the way out for what is forwarded.
    fn stages(&mut self, main: Pair, forwarded: Pair) {
        let (nat, passes) = self.translations();
        if let Some(chain) = nat {
            self.stage("pf rdr", Hook::Prerouting, chain, true);
        }
        let mut head: Vec<Plain> = Vec::new();
        let skipped: Vec<Pattern> = self.anchors.skipped.iter().map(|n| Pattern::name(n.as_str())).collect();
        if !skipped.is_empty() {
            head.push(self.built_in(vec![Match::Interface(skipped)], Then::Accept, "set skip on"));
        }
        let known = Match::State([CtState::Established].into());
        let states = "packets of known connections pass before any rule";
        head.push(self.built_in(vec![known], Then::Accept, states));
        if let Some(passes) = passes {
            head.push(self.built_in(Vec::new(), Then::Jump(passes), "rdr pass"));
        }
        let filter = "the rules of the main ruleset";
        let chain = self.out.chain("pf, in");
        let mut rules = head.clone();
        rules.push(self.built_in(Vec::new(), Then::Jump(main.quick), filter));
        rules.push(self.built_in(Vec::new(), Then::Jump(main.last), filter));
        self.fill(chain, rules);
        self.stage("pf in", Hook::Input, chain, false);
        self.stage("pf in", Hook::Forward, chain, false);
        let [quick, last] = [forwarded.quick, forwarded.last].map(|c| self.out.chains[c.0 as usize].rules.is_empty());
        if !(quick && last) {
            let chain = self.out.chain("pf, out");
            let known = Match::State([CtState::Established].into());
            let mut rules = vec![self.built_in(vec![known], Then::Accept, states)];
            rules.push(self.built_in(Vec::new(), Then::Jump(forwarded.quick), filter));
            rules.push(self.built_in(Vec::new(), Then::Jump(forwarded.last), filter));
            self.fill(chain, rules);
            self.stage("pf out", Hook::Forward, chain, false);
        }
    }

    fn stage(&mut self, name: &str, hook: Hook, chain: ChainId, nat: bool) {
        let others = self.anchors.by_path.iter().any(|(path, a)| {
            let calls_us = |r: &Rule| matches!(&r.action, Action::Anchor(Some(n)) if join(path, n) == ANCHOR);
            path != ANCHOR && a.rules.iter().any(|r| !calls_us(r))
        });
        let priority = i32::try_from(self.out.stages.len()).unwrap_or(i32::MAX);
        let name = name.to_owned();
        self.out.stages.push(Stage {
            name,
            hook,
            priority,
            family: None,
            nat,
            chain,
            policy: Then::Accept,
            ours: !others,
        });
    }

    /// A rule that pf has without being told.
    fn built_in(&mut self, matches: Vec<Match>, then: Then, text: &str) -> Plain {
        let origin = self.out.origin(Origin { place: "pf".into(), line: 0, handle: None, text: text.to_owned() });
        Plain { matches, log: None, then, origin }
    }

    /// The chain of translations, and the chain of those packets that are let pass with it.
    fn translations(&mut self) -> (Option<ChainId>, Option<ChainId>) {
        let translates = |r: &&Rule| matches!(r.action, Action::Translate(_));
        if !self.anchors.by_path.values().any(|a| a.rules.iter().any(|r| translates(&r))) {
            return (None, None);
        }
        let anchors = self.anchors;
        let (mut nat, mut passes) = (Vec::new(), Vec::new());
        let scope = Scope { anchors, path: "", ours: false };
        let first = self.origins_of("");
        for (number, rule) in (first..).zip(anchors.by_path.get("").into_iter().flat_map(|a| &a.rules)) {
            let origin = RuleId(number);
            if let Action::Translate(Translation::Anchor(name)) = &rule.action {
                let Some(matches) = scope.matches(rule, Direction::In) else { continue };
                let (called, open) = called(anchors, name);
                // What is inside is not followed: either nothing is, or it may send the packet anywhere.
                let inside =
                    |path: &String| anchors.by_path.get(path).is_some_and(|a| a.rules.iter().any(|r| translates(&r)));
                if open || called.iter().any(inside) {
                    let because = format!("the anchor {} may translate the packet", name.escape_default());
                    nat.push(Plain { matches, log: None, then: Then::Unknown(because), origin });
                }
                continue;
            }
            nat.extend(scope.translation(rule, origin));
            passes.extend(scope.passes(rule, origin));
        }
        let chain = |a: &mut Self, name: &str, rules: Vec<Plain>| {
            let id = a.out.chain(name);
            a.fill(id, rules);
            id
        };
        let any_pass = passes.iter().any(|r: &Plain| r.then == Then::Accept);
        let nat = (!nat.is_empty()).then(|| chain(self, "pf, rdr", nat));
        let passes = any_pass.then(|| chain(self, "pf, rdr pass", passes));
        (nat, passes)
    }
}

/// The anchors that a call enters, and whether there may be others of which nothing is known.
fn called(anchors: &Anchors, path: &str) -> (Vec<String>, bool) {
    let read = |path: &str| anchors.by_path.get(path).is_some_and(|a| a.read);
    let Some(parent) = path.strip_suffix('*').map(|p| p.trim_end_matches('/')) else {
        if read(path) {
            return (vec![path.to_owned()], false);
        }
        return (Vec::new(), anchors.listed.as_ref().is_none_or(|all| all.contains(path)));
    };
    let below = |p: &str| {
        let rest = if parent.is_empty() { Some(p) } else { p.strip_prefix(parent).and_then(|r| r.strip_prefix('/')) };
        rest.is_some_and(|r| !r.is_empty() && !r.contains('/'))
    };
    let known = anchors.by_path.iter().filter(|(p, a)| a.read && below(p)).map(|(p, _)| p.clone()).collect();
    let open = anchors.listed.as_ref().is_none_or(|all| all.iter().any(|p| below(p) && !read(p)));
    (known, open)
}
