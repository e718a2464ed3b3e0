//! What rules do with a packet, as a decision diagram that is shared wherever it is equal.
//!
//! A rule is, for each source, a function: it decides, or it leaves the decision to what follows, or it does the one or the
//! other depending on something that the question does not settle. Such functions compose associatively, so a chain of any
//! length is put together like a sum, in any grouping; and equal functions are one number, so that composing them for a
//! million addresses is looking up a pair.

use std::collections::HashMap;

use crate::access::{Limits, Log, Outcome, Refuse, RuleId, Verdict};

use super::mark::{Carried, Change, Mark};
use super::matching::TRACKED;
use super::{Rewrite, Within};

/// A diagram as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Node(u32);

impl Node {
    /// The packet goes on with the next rule. As a test: false.
    pub(super) const FALL: Self = Self(0);
    /// The packet goes back to the chain that jumped here.
    pub(super) const RETURN: Self = Self(1);
    /// A test that holds.
    pub(super) const TRUE: Self = Self(2);
    /// The packet passes the stage.
    pub(super) const ACCEPT: Self = Self(3);
}

/// What a stage has decided.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Decision {
    Accept,
    Refuse(Refuse),
    Rewrite(Rewrite),
    Unknown(String),
}

/// What a decision depends on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Condition {
    /// Something that is not known.
    Unknown { because: String, rule: RuleId },
    /// Whether the source keeps within a limit.
    Within(Within),
    /// Whether a mark has this value under a mask; the rule asks.
    Mark { mark: Mark, mask: u32, value: u32, rule: RuleId },
    /// Whether tracking was switched off for the packet; the rule asks.
    Untracked { rule: RuleId },
}

impl Condition {
    /// Whether it holds for a packet that carries this; none if that does not tell.
    fn holds(&self, carried: &Carried) -> Option<bool> {
        match self {
            Self::Mark { mark, mask, value, .. } => carried.has(*mark, *mask, *value),
            Self::Untracked { .. } => carried.untracked(),
            Self::Unknown { .. } | Self::Within(_) => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Shape {
    Fall,
    Return,
    True,
    Decided { decision: Decision, by: Option<RuleId> },
    Logged { log: Log, then: Node },
    Changed { change: Change, then: Node },
    Choice { condition: u32, yes: Node, no: Node },
}

/// The deepest nesting of conditions that is followed; more are unknown as a whole. Bounds the stack on hostile input.
const DEPTH: u16 = 400;

/// The most diagrams for one question. Bounds memory and time on hostile input.
const NODES: usize = 400_000;

/// What a diagram comes to for a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Settled {
    /// What happens to it; a translation counts as accept.
    pub(super) outcome: Outcome,
    /// The translation that it meets whatever the conditions are.
    pub(super) rewrite: Option<Rewrite>,
    /// What it carries then; none if it is refused.
    pub(super) carried: Option<Carried>,
}

/// All diagrams of one evaluation.
pub(super) struct Diagrams {
    shapes: Vec<Shape>,
    depths: Vec<u16>,
    numbers: HashMap<Shape, Node>,
    conditions: Vec<Condition>,
    condition_numbers: HashMap<Condition, u32>,
    composed: HashMap<(Node, Node, Node, Node), Node>,
    settled: HashMap<(Node, Carried), Settled>,
}

impl Diagrams {
    pub(super) fn new() -> Self {
        let mut d = Self {
            shapes: Vec::new(),
            depths: Vec::new(),
            numbers: HashMap::new(),
            conditions: Vec::new(),
            condition_numbers: HashMap::new(),
            composed: HashMap::new(),
            settled: HashMap::new(),
        };
        // The order gives the constants of `Node` their numbers.
        let accept = Shape::Decided { decision: Decision::Accept, by: None };
        for shape in [Shape::Fall, Shape::Return, Shape::True, accept] {
            d.intern(shape, 0);
        }
        d
    }

    fn intern(&mut self, shape: Shape, depth: u16) -> Node {
        if let Some(node) = self.numbers.get(&shape) {
            return *node;
        }
        let node = Node(self.shapes.len() as u32);
        self.shapes.push(shape.clone());
        self.depths.push(depth);
        self.numbers.insert(shape, node);
        node
    }

    fn depth(&self, node: Node) -> u16 {
        self.depths[node.0 as usize]
    }

    pub(super) fn decided(&mut self, decision: Decision, by: Option<RuleId>) -> Node {
        self.intern(Shape::Decided { decision, by }, 0)
    }

    fn too_much(&mut self) -> Node {
        self.decided(Decision::Unknown("too many rules depend on what is not known".to_owned()), None)
    }

    pub(super) fn logged(&mut self, log: Log, then: Node) -> Node {
        // Of several lines the first is kept; a line before what only falls through is kept for what follows.
        if let Shape::Logged { then: inner, .. } = self.shapes[then.0 as usize] {
            return self.logged(log, inner);
        }
        let depth = self.depth(then) + 1;
        if depth > DEPTH { self.too_much() } else { self.intern(Shape::Logged { log, then }, depth) }
    }

    /// The packet is changed, then the other happens.
    pub(super) fn changed(&mut self, change: Change, then: Node) -> Node {
        let depth = self.depth(then) + 1;
        if depth > DEPTH { self.too_much() } else { self.intern(Shape::Changed { change, then }, depth) }
    }

    /// The test of a condition: TRUE if it holds, FALL if not.
    pub(super) fn condition(&mut self, condition: Condition) -> Node {
        let next = self.conditions.len() as u32;
        let number = *self.condition_numbers.entry(condition).or_insert_with_key(|c| {
            self.conditions.push(c.clone());
            next
        });
        self.choice(number, Node::TRUE, Node::FALL)
    }

    fn choice(&mut self, condition: u32, yes: Node, no: Node) -> Node {
        if yes == no {
            return yes;
        }
        let depth = self.depth(yes).max(self.depth(no)) + 1;
        if depth > DEPTH || self.shapes.len() > NODES {
            return self.too_much();
        }
        self.intern(Shape::Choice { condition, yes, no }, depth)
    }

    /// The diagram with its open ends replaced: FALL, RETURN and TRUE by the three given.
    fn replace(&mut self, node: Node, fall: Node, ret: Node, truth: Node) -> Node {
        match node {
            Node::FALL => return fall,
            Node::RETURN => return ret,
            Node::TRUE => return truth,
            Node::ACCEPT => return node,
            _ => {}
        }
        if matches!(self.shapes[node.0 as usize], Shape::Decided { .. }) {
            return node;
        }
        let key = (node, fall, ret, truth);
        if let Some(known) = self.composed.get(&key) {
            return *known;
        }
        let out = match self.shapes[node.0 as usize].clone() {
            Shape::Logged { log, then } => {
                let then = self.replace(then, fall, ret, truth);
                self.logged(log, then)
            }
            Shape::Changed { change, then } => {
                let then = self.replace(then, fall, ret, truth);
                self.changed(change, then)
            }
            Shape::Choice { condition, yes, no } => {
                let yes = self.replace(yes, fall, ret, truth);
                let no = self.replace(no, fall, ret, truth);
                self.choice(condition, yes, no)
            }
            _ => node,
        };
        self.composed.insert(key, out);
        out
    }

    /// First the one, and where it falls through, the other.
    pub(super) fn then(&mut self, first: Node, second: Node) -> Node {
        self.replace(first, second, Node::RETURN, Node::TRUE)
    }

    /// What happens if the test holds; else the packet falls through.
    pub(super) fn when(&mut self, test: Node, action: Node) -> Node {
        self.replace(test, Node::FALL, Node::RETURN, action)
    }

    pub(super) fn and(&mut self, a: Node, b: Node) -> Node {
        self.replace(a, Node::FALL, Node::RETURN, b)
    }

    pub(super) fn or(&mut self, a: Node, b: Node) -> Node {
        self.replace(a, b, Node::RETURN, Node::TRUE)
    }

    pub(super) fn not(&mut self, a: Node) -> Node {
        self.replace(a, Node::TRUE, Node::RETURN, Node::FALL)
    }

    /// A whole chain as the rule that jumps to it sees it: a return is falling through.
    pub(super) fn called(&mut self, chain: Node) -> Node {
        self.replace(chain, Node::FALL, Node::FALL, Node::TRUE)
    }

    /// A whole chain as the rule that goes to it sees it: its end is a return.
    pub(super) fn gone(&mut self, chain: Node) -> Node {
        self.replace(chain, Node::RETURN, Node::RETURN, Node::TRUE)
    }

    /// Whether the diagram decides without any condition.
    pub(super) fn ends(&self, node: Node) -> bool {
        node == Node::RETURN || matches!(self.shapes[node.0 as usize], Shape::Decided { .. })
    }

    /// What a diagram without open ends comes to for a packet that carries this.
    pub(super) fn settle(&mut self, node: Node, carried: Carried) -> Settled {
        if let Some(known) = self.settled.get(&(node, carried)) {
            return known.clone();
        }
        let out = match self.shapes[node.0 as usize].clone() {
            Shape::Fall | Shape::Return | Shape::True => {
                Settled { outcome: Verdict::Accept.into(), rewrite: None, carried: Some(carried) }
            }
            Shape::Decided { decision, by } => {
                let (verdict, rewrite) = match decision {
                    Decision::Accept => (Verdict::Accept, None),
                    Decision::Rewrite(rewrite) => (Verdict::Accept, Some(rewrite)),
                    Decision::Refuse(how) => (Verdict::Refuse(how), None),
                    Decision::Unknown(because) => (Verdict::Unknown { because }, None),
                };
                let carried = match verdict {
                    Verdict::Refuse(_) => None,
                    Verdict::Unknown { .. } => Some(Carried::UNKNOWN),
                    _ => Some(carried),
                };
                Settled { outcome: Outcome { verdict, log: None, by }, rewrite, carried }
            }
            Shape::Logged { log, then } => {
                let settled = self.settle(then, carried);
                Settled { outcome: Outcome { log: Some(log), ..settled.outcome }, ..settled }
            }
            Shape::Changed { change, then } => self.settle(then, carried.after(change)),
            Shape::Choice { condition, yes, no } => {
                let condition = self.conditions[condition as usize].clone();
                match condition.holds(&carried) {
                    Some(true) => self.settle(yes, carried),
                    Some(false) => self.settle(no, carried),
                    None => {
                        let (yes, no) = (self.settle(yes, carried), self.settle(no, carried));
                        choose(condition, yes, no)
                    }
                }
            }
        };
        self.settled.insert((node, carried), out.clone());
        out
    }
}

/// What a choice comes to of which it cannot be told which way it goes.
fn choose(condition: Condition, yes: Settled, no: Settled) -> Settled {
    let carried = match (yes.carried, no.carried) {
        (Some(a), Some(b)) => Some(a.join(b)),
        (a, b) => a.or(b),
    };
    let same = yes.rewrite == no.rewrite;
    let (because, rule) = match condition {
        Condition::Within(within) => {
            let rewrite = yes.rewrite.filter(|_| same);
            return Settled { outcome: limit(within, yes.outcome, no.outcome), rewrite, carried };
        }
        Condition::Unknown { because, rule } => (because, rule),
        Condition::Mark { rule, .. } => ("it depends on a mark that another rule sets".to_owned(), rule),
        Condition::Untracked { rule } => (TRACKED.to_owned(), rule),
    };
    match alike(&yes.outcome, &no.outcome) {
        Some(outcome) if same => Settled { outcome, rewrite: no.rewrite, carried },
        _ => Settled {
            outcome: Outcome { verdict: Verdict::Unknown { because }, log: None, by: Some(rule) },
            rewrite: None,
            carried,
        },
    }
}

/// What two outcomes are together if it does not matter which of them it is: a packet that is refused in one way or the
/// other is refused, and a log line that may or may not be written is not worth a doubt.
fn alike(a: &Outcome, b: &Outcome) -> Option<Outcome> {
    let verdict = match (&a.verdict, &b.verdict) {
        (x, y) if x == y => x.clone(),
        (Verdict::Refuse(_), Verdict::Refuse(_)) => Verdict::Refuse(Refuse::Either),
        _ => return None,
    };
    Some(Outcome { verdict, log: a.log.filter(|l| Some(*l) == b.log), by: b.by })
}

/// What two outcomes are together, of which the first holds within a limit and the second over it.
fn limit(within: Within, inside: Outcome, over: Outcome) -> Outcome {
    let limits = match within {
        Within::Rate { bucket, prefix } => Limits { rate: Some(bucket), concurrent: None, prefix },
        Within::Concurrent { count, prefix } => Limits { rate: None, concurrent: Some(count), prefix },
    };
    let unknown =
        |because: &str, by| Outcome { verdict: Verdict::Unknown { because: because.to_owned() }, log: None, by };
    if let Some(outcome) = alike(&inside, &over) {
        return outcome;
    }
    match (&inside.verdict, &over.verdict) {
        (Verdict::Accept, Verdict::Refuse(how)) => Outcome {
            verdict: Verdict::Limit { limits, over: *how, over_log: over.log },
            log: inside.log,
            by: inside.by,
        },
        (Verdict::Limit { limits: other, over: how, over_log }, Verdict::Refuse(refused))
            if how == refused && *over_log == over.log =>
        {
            match other.and(limits) {
                Some(limits) => Outcome {
                    verdict: Verdict::Limit { limits, over: *how, over_log: *over_log },
                    log: inside.log,
                    by: inside.by,
                },
                None => unknown("two limits that count differently", inside.by),
            }
        }
        (Verdict::Unknown { .. }, _) => inside,
        (_, Verdict::Unknown { .. }) => over,
        _ => unknown("a limit that does not simply refuse", inside.by),
    }
}
