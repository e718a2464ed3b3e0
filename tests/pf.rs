//! What is read from pf, held to a walk of its rules packet by packet.

#[path = "support/dice.rs"]
mod dice;
#[path = "support/edges.rs"]
mod edges;
#[path = "support/invent/mod.rs"]
#[allow(dead_code)] // the other firewalls have a kernel to ask
mod invent;

use std::collections::BTreeSet;

use dice::Dice;
use harden993::access::{Interface, Question, Verdict};
use harden993::net::{AddrSet, no_source};
use harden993::ruleset::Evaluator;
use harden993::target::{HEADING, Listing, Platform, read_host};
use invent::pf::{Fate, INTERFACES, Ruleset};

#[test]
fn invented_rulesets_do_what_pf_conf_says() {
    let mut sources = BTreeSet::new();
    for network in invent::V4.iter().chain(invent::V6) {
        edges::edges(&network.parse::<AddrSet>().expect("the constants are networks"), &mut sources);
    }
    sources.retain(|ip| !no_source().contains(*ip));
    let mut blocked = 0;
    for number in 0..2000 {
        let ruleset = Ruleset::new(&mut Dice::new(number));
        let text = ruleset.capture(HEADING);
        let read = read_host(Platform::Bsd, &Listing::parse(&text)).unwrap_or_else(|e| panic!("{number}: {e}\n{text}"));
        for port in [993, 22] {
            for interface in INTERFACES {
                let question = Question { interface: Interface::parse(interface), ..Question::opening(port) };
                let access = Evaluator::new(&read.ruleset).ask(&question);
                for source in &sources {
                    let fate = match access.at(*source).verdict {
                        Verdict::Accept => Fate::Passed,
                        Verdict::Refuse(_) => Fate::Blocked,
                        ref other => panic!("number {number}: {other:?} from {source}\n{text}"),
                    };
                    blocked += u64::from(fate == Fate::Blocked);
                    let said = ruleset.fate(*source, port, interface);
                    assert_eq!(fate, said, "number {number}: from {source} by {interface} to {port}\n{text}");
                }
            }
        }
    }
    assert!(blocked > 100_000, "only {blocked} packets were refused");
}
