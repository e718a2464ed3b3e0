//! Small changes of a rendered text, as a slip of a finger or of a program would make them.

use harden993::net::{Network, parse_network};

use crate::dice::Dice;

/// What kind of change it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// A network is another one.
    Network,
    /// A rule does something else.
    Action,
    /// A limit is larger.
    Limit,
    /// A log line has another prefix.
    Log,
    /// A line is missing.
    Lost,
    /// A line stands after the next one.
    Moved,
}

/// A changed text.
pub(crate) struct Mutant {
    pub(crate) kind: Kind,
    /// The change, for a message.
    pub(crate) what: String,
    pub(crate) text: String,
}

/// Words of all targets and what each is mistaken for.
const ACTIONS: &[(&str, &str)] = &[
    // nftables and iptables
    ("accept", "drop"),
    ("drop;", "accept;"),
    ("drop", "accept"),
    ("ACCEPT", "DROP"),
    ("DROP", "ACCEPT"),
    ("goto take", "goto refuse"),
    ("goto blocked", "goto take"),
    ("reject with tcp reset", "drop"),
    ("REJECT --reject-with tcp-reset", "DROP"),
    ("!= syn", "== syn"),
    ("== syn", "!= syn"),
    ("ct direction original", "ct direction reply"),
    ("--ctdir ORIGINAL", "--ctdir REPLY"),
    ("-g H993-REFUSE", "-j ACCEPT"),
    // pf
    ("pass", "block drop"),
    ("block drop", "pass"),
    ("block return-rst", "pass"),
    ("return-rst", "drop"),
    ("flags S/SA", "flags any"),
    // Windows
    ("-Action Allow", "-Action Block"),
    ("-Action Block", "-Action Allow"),
];

/// Words before which a number that limits stands.
const LIMITS: &[&str] = &[
    "update @rate4 { ip saddr . th dport limit rate ",
    "ct count ",
    "--hashlimit-above ",
    "--hashlimit-burst ",
    "--connlimit-above ",
    "--hashlimit-srcmask ",
    "--connlimit-mask ",
    "max-src-conn ",
    "max-src-conn-rate ",
];

/// Some changes of a text, each by itself.
pub(crate) fn mutants(text: &str, count: usize, dice: &mut Dice) -> Vec<Mutant> {
    let lines: Vec<&str> = text.lines().collect();
    let code: Vec<usize> =
        (0..lines.len()).filter(|i| !lines[*i].trim().is_empty() && !lines[*i].trim_start().starts_with('#')).collect();
    let mut out = Vec::new();
    for _ in 0..4 * count {
        let at = *dice.pick(&code);
        let line = lines[at];
        let change = match dice.below(6) {
            0 => network(line, dice).map(|l| (Kind::Network, vec![l])),
            1 => replaced(line, ACTIONS, dice).map(|l| (Kind::Action, vec![l])),
            2 => limit(line, dice).map(|l| (Kind::Limit, vec![l])),
            3 => log(line).map(|l| (Kind::Log, vec![l])),
            4 => Some((Kind::Lost, vec![])),
            _ => lines.get(at + 1).map(|next| (Kind::Moved, vec![(*next).to_owned(), line.to_owned()])),
        };
        let Some((kind, new)) = change else { continue };
        let old = if kind == Kind::Moved { 2 } else { 1 };
        let shown = new.join(" / ");
        let mut changed: Vec<&str> = lines[..at].to_vec();
        changed.extend(new.iter().map(String::as_str));
        changed.extend(&lines[at + old..]);
        let mut text = changed.join("\n");
        text.push('\n');
        out.push(Mutant { kind, what: format!("line {}: {:?} is {shown:?}", at + 1, line), text });
        if out.len() == count {
            break;
        }
    }
    out
}

/// The line with one of its networks changed.
fn network(line: &str, dice: &mut Dice) -> Option<String> {
    let is_part = |c: char| c.is_ascii_hexdigit() || ".:/-".contains(c);
    let mut places = Vec::new();
    let mut rest = 0;
    while let Some(start) = line[rest..].find(is_part).map(|i| i + rest) {
        let end = line[start..].find(|c| !is_part(c)).map_or(line.len(), |i| i + start);
        let token = &line[start..end];
        if token.len() > 3 && (token.contains('.') || token.contains(':')) && parse_network(token.as_bytes()).is_ok() {
            places.push((start, end));
        }
        rest = end;
    }
    if places.is_empty() {
        return None;
    }
    let (start, end) = *dice.pick(&places);
    let other = match parse_network(&line.as_bytes()[start..end]).ok()? {
        // The lower half is gone, or the address is its neighbour.
        Network::V4(s) if s.first == s.last => std::net::Ipv4Addr::from(s.first ^ 1).to_string(),
        Network::V6(s) if s.first == s.last => std::net::Ipv6Addr::from(s.first ^ 1).to_string(),
        Network::V4(s) => {
            let half = s.first + (s.last - s.first) / 2 + 1;
            format!("{}/{}", std::net::Ipv4Addr::from(half), (s.last - half).leading_zeros())
        }
        Network::V6(s) => {
            let half = s.first + (s.last - s.first) / 2 + 1;
            format!("{}/{}", std::net::Ipv6Addr::from(half), (s.last - half).leading_zeros())
        }
    };
    Some(format!("{}{other}{}", &line[..start], &line[end..]))
}

/// The line with one word replaced.
fn replaced(line: &str, words: &[(&str, &str)], dice: &mut Dice) -> Option<String> {
    let fitting: Vec<_> = words.iter().filter(|(from, _)| line.contains(from)).collect();
    (!fitting.is_empty()).then(|| {
        let (from, to) = dice.pick(&fitting);
        line.replacen(from, to, 1)
    })
}

/// The line with one limit raised by one.
fn limit(line: &str, dice: &mut Dice) -> Option<String> {
    let fitting: Vec<_> = LIMITS.iter().filter_map(|w| line.find(w).map(|i| i + w.len())).collect();
    if fitting.is_empty() {
        return None;
    }
    let start = *dice.pick(&fitting);
    let end = line[start..].find(|c: char| !c.is_ascii_digit()).map_or(line.len(), |i| i + start);
    let number: u64 = line[start..end].parse().ok()?;
    Some(format!("{}{}{}", &line[..start], number + 1, &line[end..]))
}

fn log(line: &str) -> Option<String> {
    let at = line
        .find("harden993 ")
        .filter(|_| line.contains("refused: ") || line.contains("blocked: ") || line.contains("limited: "))?;
    Some(format!("{}x{}", &line[..at], &line[at..]))
}
