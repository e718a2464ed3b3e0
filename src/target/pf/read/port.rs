//! Ports as rules write them: numbers, names of the services file, comparisons and ranges.

use crate::ruleset::Ports;

/// Services that pfctl prints by name. Only those whose names are the same in the services files of all three systems and
/// that a host's rules commonly name; another name is unknown, never guessed.
const NAMES: &[(&str, u16)] = &[
    ("bootpc", 68),
    ("bootps", 67),
    ("bgp", 179),
    ("domain", 53),
    ("ftp", 21),
    ("ftp-data", 20),
    ("http", 80),
    ("https", 443),
    ("imap", 143),
    ("imap3", 220),
    ("imaps", 993),
    ("kerberos", 88),
    ("ldap", 389),
    ("ldaps", 636),
    ("mysql", 3306),
    ("nntp", 119),
    ("ntp", 123),
    ("pop3", 110),
    ("pop3s", 995),
    ("postgresql", 5432),
    ("rsync", 873),
    ("sieve", 4190),
    ("smtp", 25),
    ("smtps", 465),
    ("snmp", 161),
    ("ssh", 22),
    ("submission", 587),
    ("sunrpc", 111),
    ("syslog", 514),
    ("telnet", 23),
    ("tftp", 69),
    ("www", 80),
];

/// The number of a port.
pub(super) fn number(text: &str) -> Option<u16> {
    text.parse().ok().or_else(|| NAMES.iter().find(|(n, _)| *n == text).map(|(_, port)| *port))
}

/// The ports of `= 993`, `!= 25`, `< 1024`, or of a range `1024:65535`.
pub(super) fn compared(operator: &str, text: &str) -> Option<Ports> {
    if let Some((first, last)) = text.split_once(':') {
        let first = if first.is_empty() { 0 } else { number(first)? };
        let last = if last.is_empty() { u16::MAX } else { number(last)? };
        return Some(span(first.into(), last.into()));
    }
    let port = u32::from(number(text)?);
    Some(match operator {
        "!=" => outside(port, port),
        "<" => below(port),
        "<=" => span(0, port),
        ">" => span(port + 1, u16::MAX.into()),
        ">=" => span(port, u16::MAX.into()),
        _ => span(port, port),
    })
}

/// The ports of `first >< last` (between, without the ends) or `first <> last` (outside, without the ends).
pub(super) fn between(first: &str, operator: &str, last: &str) -> Option<Ports> {
    let (first, last) = (u32::from(number(first)?), u32::from(number(last)?));
    if operator == "<>" {
        return Some(outside(first, last));
    }
    Some(last.checked_sub(1).map_or_else(Ports::default, |last| span(first + 1, last)))
}

fn span(first: u32, last: u32) -> Ports {
    match (u16::try_from(first), u16::try_from(last)) {
        (Ok(first), Ok(last)) if first <= last => Ports(vec![(first, last)]),
        _ => Ports::default(),
    }
}

fn below(port: u32) -> Ports {
    port.checked_sub(1).map_or_else(Ports::default, |last| span(0, last))
}

fn outside(first: u32, last: u32) -> Ports {
    let (mut low, high) = (below(first), span(last + 1, u16::MAX.into()));
    low.0.extend(high.0);
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons() {
        let has = |operator, text, port| compared(operator, text).unwrap().contains(port);
        assert!(has("=", "imaps", 993) && !has("=", "993", 992));
        assert!(has("!=", "25", 993) && !has("!=", "25", 25));
        assert!(has("<", "1024", 993) && !has("<", "993", 993) && has("<=", "993", 993));
        assert!(has(">", "992", 993) && !has(">", "993", 993) && has(">=", "993", 993) && !has(">", "65535", 65535));
        assert!(has("=", "143:993", 993) && has("=", "143:", 60000) && !has("=", ":143", 144));
        assert_eq!(compared("=", "no-such-service"), None);
    }

    #[test]
    fn ranges_without_their_ends() {
        let has = |a, operator, b, port| between(a, operator, b).unwrap().contains(port);
        assert!(has("990", "><", "994", 993) && !has("993", "><", "994", 993) && !has("990", "><", "993", 993));
        assert!(has("25", "<>", "143", 993) && !has("25", "<>", "993", 993) && has("25", "<>", "143", 24));
        assert!(between("0", "><", "0").unwrap().0.is_empty());
    }
}
