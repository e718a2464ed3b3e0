//! Small changes of a rendered text, as a slip of a finger or of a program would make them.

use harden993::net::{Network, parse_network};

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
    /// The last rule of a chain stands first.
    Moved,
}

/// One change: some lines in the place of others.
pub(crate) struct Edit {
    pub(crate) kind: Kind,
    /// The first line that is replaced, counted from 0.
    pub(crate) at: usize,
    /// How many lines are replaced.
    old: usize,
    pub(crate) new: Vec<String>,
}

/// Words of each target and what each is mistaken for.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("nftables", "accept", "drop"),
    ("nftables", "drop", "accept"),
    ("nftables", "reject with tcp reset", "drop"),
    ("nftables", "goto take", "goto untrusted"),
    ("nftables", "goto blocked", "goto take"),
    ("nftables", "goto refuse", "goto take"),
    ("nftables", "goto limited", "goto take"),
    ("nftables", "goto untrusted", "goto take"),
    ("nftables", "!= syn", "== syn"),
    ("nftables", "== syn", "!= syn"),
    ("nftables", "ct direction original", "ct direction reply"),
    ("nftables", "ct state established", "ct state new"),
    ("iptables", "ACCEPT", "DROP"),
    ("iptables", "DROP", "ACCEPT"),
    ("iptables", "REJECT --reject-with tcp-reset", "DROP"),
    ("iptables", "-g H993-REFUSE", "-j ACCEPT"),
    ("iptables", "-g H993-REST", "-j ACCEPT"),
    ("iptables", "-g H993-BLOCKED", "-j ACCEPT"),
    ("iptables", "-g H993-OVER", "-j ACCEPT"),
    ("iptables", "--ctdir ORIGINAL", "--ctdir REPLY"),
    ("iptables", "--ctstate ESTABLISHED", "--ctstate NEW"),
    ("iptables", "--tcp-flags SYN,ACK SYN", "--tcp-flags FIN,SYN,RST,ACK SYN"),
    ("pf", "pass", "block drop"),
    ("pf", "block drop", "pass"),
    ("pf", "block return-rst", "pass"),
    ("pf", "return-rst", "drop"),
    ("pf", "flags S/SA", "flags any"),
    ("windows", "'Allow'", "'Block'"),
    ("windows", "'Block'", "'Allow'"),
    ("windows", "'True'", "'False'"),
    ("windows", "'993'", "'992'"),
];

/// Words of all targets before which a number that limits stands.
const LIMITS: &[&str] = &[
    "limit rate ",
    "burst ",
    "ct count ",
    "--hashlimit-above ",
    "--hashlimit-burst ",
    "--hashlimit-srcmask ",
    "--connlimit-above ",
    "--connlimit-mask ",
    "--limit ",
    "--limit-burst ",
    "max-src-conn ",
    "max-src-conn-rate ",
];

/// Every change of these kinds in a target's text. Comments are left alone.
pub(crate) fn edits(target: &str, text: &str) -> Vec<Edit> {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = Vec::new();
    for at in code(target, &lines) {
        let line = lines[at];
        let mut one = |kind, new: String| out.push(Edit { kind, at, old: 1, new: vec![new] });
        for l in networks(line) {
            one(Kind::Network, l);
        }
        for (_, from, to) in ACTIONS.iter().filter(|(t, ..)| *t == target) {
            if let Some(i) = word(line, from) {
                one(Kind::Action, put(line, i, i + from.len(), to));
            }
        }
        for l in limits(line) {
            one(Kind::Limit, l);
        }
        for prefix in ["harden993 refused: ", "harden993 blocked: ", "harden993 limited: "] {
            if let Some(i) = line.find(prefix) {
                one(Kind::Log, put(line, i, i, "x"));
            }
        }
        out.push(Edit { kind: Kind::Lost, at, old: 1, new: Vec::new() });
    }
    for (first, count) in chains(target, &lines) {
        let mut new: Vec<String> = lines[first..first + count].iter().map(|l| (*l).to_owned()).collect();
        new.rotate_right(1);
        out.push(Edit { kind: Kind::Moved, at: first, old: count, new });
    }
    out
}

/// The chains that end in a rule for everything that comes to it: first line and number of lines. Rules of which each is
/// for other packets may stand in any order, and Windows' rules may anyhow.
fn chains(target: &str, lines: &[&str]) -> Vec<(usize, usize)> {
    // The chain that a line is a rule of, and whether it is for everything.
    let rule = |at: usize| -> Option<(String, bool)> {
        let line = lines[at].trim();
        match target {
            "nftables" => {
                let head = (0..at).rev().find(|i| lines[*i].starts_with("\tchain "))?;
                let inside = lines[head..at].iter().all(|l| *l != "\t}")
                    && !line.starts_with(['}', '#'])
                    && !line.starts_with("type ");
                inside.then(|| (lines[head].to_owned(), line.starts_with("goto ")))
            }
            "iptables" => {
                let (name, rest) = line.strip_prefix("-A ")?.split_once(' ')?;
                Some((name.to_owned(), rest.starts_with("-g ") || rest.starts_with("-j ")))
            }
            "pf" => (line.starts_with("pass ") || line.starts_with("block "))
                .then(|| (String::new(), line.contains(" from any to (self) "))),
            _ => None,
        }
    };
    let rules: Vec<(usize, String, bool)> =
        (0..lines.len()).filter_map(|i| rule(i).map(|(c, all)| (i, c, all))).collect();
    let same = rules.chunk_by(|a, b| a.1 == b.1);
    let last = |chain: &[(usize, String, bool)]| {
        let [first, .., last] = chain else { return None };
        last.2.then_some((first.0, last.0 - first.0 + 1))
    };
    same.filter_map(last).collect()
}

/// The text with a change.
pub(crate) fn changed(text: &str, edit: &Edit) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<&str> = lines[..edit.at].to_vec();
    out.extend(edit.new.iter().map(String::as_str));
    out.extend(&lines[edit.at + edit.old..]);
    out.join("\n") + "\n"
}

/// The lines that are rules, or hold what rules look at. What a script does with them is no matter of the law.
fn code(target: &str, lines: &[&str]) -> Vec<usize> {
    let mut in_data = false;
    let wanted = |i: &usize| {
        let line = lines[*i].trim_start();
        match target {
            // What is said of sets and counters beside their elements is how they are kept.
            "nftables" => {
                let kept = ["table ", "delete ", "type ipv", "flags ", "size ", "timeout ", "packets "];
                let counter = line.starts_with("counter ") && line.ends_with('{');
                !line.is_empty()
                    && !line.starts_with(['#', '}'])
                    && !counter
                    && !kept.iter().any(|k| line.starts_with(k))
            }
            // One rule holds the digest and does nothing.
            "iptables" => line.starts_with("-A H993-") && !line.starts_with("-A H993-POLICY "),
            "windows" => {
                // The last rule holds the digest and does nothing.
                in_data = (in_data || line.starts_with("# --- data")) && !line.contains("(does nothing)");
                in_data
                    && (line.contains("Action ")
                        || line.contains("Enabled ")
                        || line.contains("LocalPort ")
                        || line.starts_with('\''))
            }
            _ => !line.is_empty() && !line.starts_with('#'),
        }
    };
    (0..lines.len()).filter(wanted).collect()
}

fn put(line: &str, start: usize, end: usize, with: &str) -> String {
    format!("{}{with}{}", &line[..start], &line[end..])
}

/// Where a word stands by itself.
fn word(line: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let alone = |i: &usize| !line[..*i].ends_with(part) && !line[i + word.len()..].starts_with(part);
    line.match_indices(word).map(|(i, _)| i).find(alone)
}

/// The line with each of its networks changed: its lower half is gone, or the address is its neighbour.
fn networks(line: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_hexdigit() || ".:/-".contains(c);
    let mut out = Vec::new();
    let mut rest = 0;
    while let Some(start) = line[rest..].find(is_part).map(|i| i + rest) {
        rest = line[start..].find(|c| !is_part(c)).map_or(line.len(), |i| i + start);
        let token = &line[start..rest];
        let Ok(network) = parse_network(token.as_bytes()) else { continue };
        if token.len() < 4 {
            continue;
        }
        let other = match network {
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
        out.push(put(line, start, rest, &other));
    }
    out
}

/// The line with each of its limits raised by one.
fn limits(line: &str) -> Vec<String> {
    let starts = LIMITS.iter().flat_map(|w| line.match_indices(w).map(|(i, w)| i + w.len()));
    let raised = starts.filter_map(|start| {
        let end = line[start..].find(|c: char| !c.is_ascii_digit()).map_or(line.len(), |i| i + start);
        let number: u64 = line[start..end].parse().ok()?;
        Some(put(line, start, end, &(number + 1).to_string()))
    });
    raised.collect()
}
