//! What rules do with a packet, as a decision diagram that is shared wherever it is equal.
//!
//! A rule is, for each source, a function: it decides, or it leaves the decision to what follows, or it does the one or the
//! other depending on something that the question does not settle. Such functions compose associatively, so a chain of any
//! length is put together like a sum, in any grouping; and equal functions are one number, so that composing them for a
//! million addresses is looking up a pair.

use std::collections::HashMap;

use crate::access::{Limits, Log, Outcome, Refuse, RuleId, Verdict};

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
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Shape {
    Fall,
    Return,
    True,
    Decided { decision: Decision, by: Option<RuleId> },
    Logged { log: Log, then: Node },
    Choice { condition: u32, yes: Node, no: Node },
}

/// The deepest nesting of conditions that is followed; more are unknown as a whole. Bounds the stack on hostile input.
const DEPTH: u16 = 400;

/// The most diagrams for one question. Bounds memory and time on hostile input.
const NODES: usize = 400_000;

/// All diagrams of one evaluation.
pub(super) struct Diagrams {
    shapes: Vec<Shape>,
    depths: Vec<u16>,
    numbers: HashMap<Shape, Node>,
    conditions: Vec<Condition>,
    condition_numbers: HashMap<Condition, u32>,
    composed: HashMap<(Node, Node, Node, Node), Node>,
    settled: HashMap<Node, (Outcome, Option<Rewrite>)>,
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

    /// Whether the packet passes and keeps its destination.
    pub(super) fn stays(&mut self, node: Node) -> bool {
        self.rewrites(node).is_none() && self.resolve(node).verdict == Verdict::Accept
    }

    /// The translation that a diagram ends in whatever its conditions are.
    pub(super) fn rewrites(&mut self, node: Node) -> Option<Rewrite> {
        self.settle(node).1
    }

    /// The outcome of a diagram without open ends. A translation counts as accept (the caller follows it before).
    pub(super) fn resolve(&mut self, node: Node) -> Outcome {
        self.settle(node).0
    }

    fn settle(&mut self, node: Node) -> (Outcome, Option<Rewrite>) {
        if let Some(known) = self.settled.get(&node) {
            return known.clone();
        }
        let out = match self.shapes[node.0 as usize].clone() {
            Shape::Fall | Shape::Return | Shape::True => (Verdict::Accept.into(), None),
            Shape::Decided { decision, by } => {
                let (verdict, rewrite) = match decision {
                    Decision::Accept => (Verdict::Accept, None),
                    Decision::Rewrite(rewrite) => (Verdict::Accept, Some(rewrite)),
                    Decision::Refuse(how) => (Verdict::Refuse(how), None),
                    Decision::Unknown(because) => (Verdict::Unknown { because }, None),
                };
                (Outcome { verdict, log: None, by }, rewrite)
            }
            Shape::Logged { log, then } => {
                let (outcome, rewrite) = self.settle(then);
                (Outcome { log: Some(log), ..outcome }, rewrite)
            }
            Shape::Choice { condition, yes, no } => {
                let ((yes, sent), (no, other)) = (self.settle(yes), self.settle(no));
                match self.conditions[condition as usize].clone() {
                    Condition::Unknown { .. } if sent == other && alike(&yes, &no).is_some() => {
                        (alike(&yes, &no).unwrap_or(no), sent)
                    }
                    Condition::Unknown { because, rule } => {
                        (Outcome { verdict: Verdict::Unknown { because }, log: None, by: Some(rule) }, None)
                    }
                    Condition::Within(within) => (limit(within, yes, no), sent.filter(|s| Some(s) == other.as_ref())),
                }
            }
        };
        self.settled.insert(node, out.clone());
        out
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
