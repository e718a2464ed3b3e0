//! What versions of nft print of our table: each spelling is the same rules.
//!
//! The spellings were seen on nft 0.9.3, 0.9.8, 1.0.6, 1.1.3 and 1.1.7; the listing of 1.0.6 is also taken live.

use std::fmt::Write as _;

use crate::dice::Dice;
use crate::saved::{Desk, drafts, shuffled};

/// The listing of a rendering: our table alone, as nft prints it.
pub(crate) fn listed(rendering: &str) -> String {
    let lines = rendering.lines().filter(|l| !l.starts_with('#') && !l.is_empty() && !l.starts_with("delete table"));
    let mut out: String = lines.filter(|l| *l != "table inet harden993").fold(String::new(), |mut out, line| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{line}");
        out
    });
    assert!(out.starts_with("table inet harden993 {\n"));
    out = out.replace("\n\t}\n\t", "\n\t}\n\n\t");
    out
}

/// The objects of a listing's table, each with its lines.
fn objects(listing: &str) -> Vec<String> {
    let inner =
        listing.strip_prefix("table inet harden993 {\n").and_then(|t| t.strip_suffix("}\n")).expect("our table");
    inner.split_inclusive("\n\t}\n").map(|o| o.trim_start_matches('\n').to_owned()).collect()
}

fn table(objects: &[String]) -> String {
    format!("table inet harden993 {{\n{}}}\n", objects.join("\n"))
}

/// 1.0.6 has a form of its own for flags, and does not print the burst that is the default.
fn v1_0_6(text: &str) -> String {
    text.replace("tcp flags & (syn | ack) == syn", "tcp flags syn / syn,ack")
        .replace("tcp flags & (syn | ack) != syn", "tcp flags != syn / syn,ack")
        .replace(" burst 5 packets", "")
}

/// 0.9.8 prints two blanks behind a count of connections, braces around one port, and no default burst.
pub(crate) fn v0_9_8(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut line = line.replace(" burst 5 packets", "");
        let split = |word: &str| line.split_once(word).map(|(h, t)| (h.to_owned(), t.to_owned()));
        if let Some((head, tail)) = split("ct count ").filter(|(head, _)| head.contains("add @")) {
            let (count, rest) = tail.split_once(' ').expect("something follows");
            line = format!("{head}ct count {count}  {rest}");
        }
        let split = |word: &str| line.split_once(word).map(|(h, t)| (h.to_owned(), t.to_owned()));
        if let Some((head, tail)) = split("tcp dport ")
            && !tail.starts_with('{')
        {
            let (port, rest) = tail.split_once(' ').expect("a verdict follows");
            line = format!("{head}tcp dport {{ {port} }} {rest}");
        }
        let _ = writeln!(out, "{line}");
    }
    out
}

/// 0.9.3 prints masks as lengths behind the set, as in `ip saddr @trusted_v4_24/24`.
fn v0_9_3(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in v0_9_8(text).lines() {
        let mut line = line.to_owned();
        for (word, bits) in [("ip saddr & ", 32), ("ip6 saddr & ", 128)] {
            let Some(at) = line.find(word) else { continue };
            let (mask, rest) = line[at + word.len()..].split_once(' ').expect("something follows");
            let Some(rest) = rest.strip_prefix("== @") else { continue };
            let set = rest.split(' ').next().expect("a set");
            let ip: std::net::IpAddr = mask.parse().expect("a mask");
            let zeros = match ip {
                std::net::IpAddr::V4(a) => u32::from(a).trailing_zeros(),
                std::net::IpAddr::V6(a) => u128::from(a).trailing_zeros(),
            };
            let field = word.trim_end_matches(" & ");
            line = format!("{}{field} @{set}/{}{}", &line[..at], bits - zeros, &rest[set.len()..]);
        }
        let _ = writeln!(out, "{line}");
    }
    out
}

/// 1.1 prints one element a line, and every burst.
fn v1_1(text: &str) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        let line = if line.starts_with("\t\telements = ") || line.starts_with("\t\t\t     ") {
            line.replace(", ", ",\n\t\t\t     ")
        } else {
            line.to_owned()
        };
        let _ = writeln!(out, "{line}");
        out
    })
}

/// As `nft -a` prints it: a handle behind each head and rule, which is a comment.
pub(crate) fn with_handles(text: &str) -> String {
    let mut handle = 1;
    text.lines().fold(String::new(), |mut out, line| {
        let is_rule = line.starts_with("\t\t")
            && !line.starts_with("\t\t\t")
            && !line.contains("elements =")
            && !["type ", "flags ", "size ", "timeout ", "packets "].iter().any(|w| line.trim_start().starts_with(w));
        let marked = (line.ends_with('{') && !line.contains("elements")) || is_rule;
        handle += 1;
        let _ = writeln!(out, "{line}{}", if marked { format!(" # handle {handle}") } else { String::new() });
        out
    })
}

/// As a host prints it that packets have met: counters, and what sets hold of the connections and rates that they count.
pub(crate) fn in_use(text: &str, dice: &mut Dice) -> String {
    let mut out = String::with_capacity(text.len());
    let mut set = "";
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("\tset ") {
            set = head.split(' ').next().expect("a name");
        }
        let dynamic = set.starts_with("open") || set.starts_with("rate");
        if line == "\t}" && dynamic {
            let address = if set.ends_with("v4") { "198.51.100.7" } else { "2001:db8:10::" };
            let state = match (set.starts_with("open"), dice.below(2)) {
                (true, _) => "ct count 60",
                (false, 0) => "expires 58s864ms limit rate 60/minute burst 40 packets",
                (false, _) => "limit rate 60/minute burst 40 packets timeout 1m expires 58s864ms",
            };
            let _ = writeln!(out, "\t\telements = {{ {address} . 993 {state},\n\t\t\t     {address} . 995 {state} }}");
        }
        if line == "\t}" {
            set = "";
        }
        let count = dice.below(1_000_000);
        let _ =
            writeln!(out, "{}", line.replace("packets 0 bytes 0", &format!("packets {count} bytes {}", count * 60)));
    }
    out
}

/// Sets, chains and elements in another order.
pub(crate) fn reordered(text: &str, dice: &mut Dice) -> String {
    let objects = shuffled(objects(text), dice).into_iter().map(|object| {
        let Some((head, rest)) = object.split_once("elements = { ") else { return object };
        let (elements, tail) = rest.split_once(" }").expect("elements end");
        let elements = elements.split(',').map(str::trim).collect();
        format!("{head}elements = {{ {} }}{tail}", shuffled(elements, dice).join(", "))
    });
    table(&objects.collect::<Vec<_>>())
}

/// Prefixes of sets as the ranges that they are, which `auto-merge` and older kernels print.
pub(crate) fn as_ranges(text: &str) -> String {
    let object = |object: String| {
        let Some((head, rest)) = object.split_once("elements = { ") else { return object };
        let (elements, tail) = rest.split_once(" }").expect("elements end");
        let range = |element: &str| {
            let Some((address, length)) = element.split_once('/') else { return element.to_owned() };
            let length: u32 = length.parse().expect("a length");
            match address.parse().expect("an address") {
                std::net::IpAddr::V4(a) => {
                    let last = u32::from(a) | u32::MAX.checked_shr(length).unwrap_or(0);
                    format!("{a}-{}", std::net::Ipv4Addr::from(last))
                }
                std::net::IpAddr::V6(a) => {
                    let last = u128::from(a) | u128::MAX.checked_shr(length).unwrap_or(0);
                    format!("{a}-{}", std::net::Ipv6Addr::from(last))
                }
            }
        };
        let elements: Vec<String> = elements.split(',').map(|e| range(e.trim())).collect();
        format!("{head}elements = {{ {} }}{tail}", elements.join(", "))
    };
    table(&objects(text).into_iter().map(object).collect::<Vec<_>>())
}

/// Priorities as numbers, as `nft -y` prints them.
fn numeric(text: &str) -> String {
    text.replace("priority filter - 10;", "priority -10;")
}

/// Somebody's tables around ours.
fn among_others(text: &str) -> String {
    format!(
        "table inet firewalld {{\n\tchain filter_INPUT {{\n\t\ttype filter hook input priority filter + 10; policy accept;\n\t\t\
         ct state {{ established, related }} accept\n\t\ttcp dport {{ 22, 993 }} accept\n\t}}\n}}\n{text}table ip nat {{\n\tchain POSTROUTING \
         {{\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t\toifname \"eth0\" counter packets 7 bytes 420 masquerade\n\t}}\n}}\n"
    )
}

#[test]
fn every_version_prints_the_same_rules() {
    for (draft, mut dice) in drafts(40) {
        let desk = Desk::new("nftables", &draft, "");
        let text = listed(&desk.render("nftables").expect("nftables can do all"));
        let used = in_use(&text, &mut dice);
        for (what, listing) in [
            ("as it was rendered", text.clone()),
            ("0.9.3", v0_9_3(&text)),
            ("0.9.8", v0_9_8(&text)),
            ("1.0.6", v1_0_6(&text)),
            ("1.1", v1_1(&text)),
            ("with handles", with_handles(&text)),
            ("in use", used.clone()),
            ("1.0.6 in use, with handles", with_handles(&v1_0_6(&used))),
            ("0.9.8 in use, numeric", numeric(&v0_9_8(&used))),
            ("in another order", reordered(&text, &mut dice)),
            ("as ranges", as_ranges(&text)),
            ("among others", among_others(&used)),
            ("with line ends of another system", text.replace('\n', "\r\n")),
        ] {
            desk.is_unchanged(what, &[listing]);
        }
    }
}
