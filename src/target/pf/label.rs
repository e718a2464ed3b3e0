//! The labels of our rules: what each rule is for, and the policy's digest in two halves.
//!
//! A label holds at most 63 bytes, is printed without quoting, and `$` words expand in it; so labels are made of fixed
//! words and hexadecimal digits alone. Every rule has one: pfctl's optimizer merges and reorders rules without.

use crate::access::LogClass;

/// What every label of ours starts with.
const PREFIX: &str = "h993:";

/// What ends the label of a rule whose interface is meant as a group (`wg*` in the profile).
pub(super) const GROUP: &str = ":group";

/// A label of ours, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label<'a> {
    /// What the rule is for: `loopback`, `blocked`, `allow`, `limit-1`, `refused`, `stray`.
    pub(super) purpose: &'a str,
    /// Half of the digest, where the label has one.
    pub(super) half: Option<&'a str>,
    /// Whether the rule's interface is a group.
    pub(super) group: bool,
}

impl<'a> Label<'a> {
    /// Reads a label; none if it is not ours.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (rest, group) = rest.strip_suffix(GROUP).map_or((rest, false), |r| (r, true));
        let (purpose, half) = rest.split_once(':').map_or((rest, None), |(p, h)| (p, Some(h)));
        Some(Self { purpose, half, group })
    }

    /// Which of our log lines the rule writes.
    pub(super) fn log_class(self) -> LogClass {
        match self.purpose {
            "blocked" => LogClass::Blocked,
            "refused" => LogClass::Refused,
            _ => LogClass::Foreign,
        }
    }
}

/// The digest that labels spell: the first half in those of the loopback rules, the second in those of the rules for
/// strays. None if a half is missing or two rules disagree.
pub(super) fn digest<'a>(labels: impl Iterator<Item = Label<'a>>) -> Option<String> {
    let (mut first, mut second): (Option<&str>, Option<&str>) = (None, None);
    for label in labels {
        let slot = match label.purpose {
            "loopback" => &mut first,
            "stray" => &mut second,
            _ => continue,
        };
        let half = label.half?;
        if half.len() != 32 || slot.is_some_and(|known| known != half) {
            return None;
        }
        *slot = Some(half);
    }
    Some(format!("{}{}", first?, second?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_what_a_rule_is_for() {
        let label = Label::parse("h993:stray:00ff:group").unwrap();
        assert_eq!(label, Label { purpose: "stray", half: Some("00ff"), group: true });
        assert_eq!(Label::parse("h993:blocked").unwrap().log_class(), LogClass::Blocked);
        assert_eq!(Label::parse("RULE 12"), None);
    }

    #[test]
    fn a_digest_needs_both_halves_and_no_contradiction() {
        let (a, b) = ("a".repeat(32), "b".repeat(32));
        let (first, second) = (format!("h993:loopback:{a}"), format!("h993:stray:{b}"));
        let read = |texts: &[&str]| digest(texts.iter().filter_map(|t| Label::parse(t)));
        assert_eq!(read(&[&first, "h993:allow", &second, &second]), Some(format!("{a}{b}")));
        assert_eq!(read(&[&first]), None);
        assert_eq!(read(&[&first, &second, &format!("h993:stray:{a}")]), None);
        assert_eq!(read(&[&first, "h993:stray"]), None);
    }
}
