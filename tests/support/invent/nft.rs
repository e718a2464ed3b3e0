//! Rulesets for nft.

use std::fmt::Write as _;

use super::{INTERFACES, MARKS, PORTS, V4, V4_RANGES, V6, V6_RANGES};
use crate::dice::Dice;

/// The hooks of base chains that an incoming or forwarded connection passes.
const HOOKS: &[&str] = &["prerouting", "input", "input", "input", "forward"];
const PRIORITIES: &[&str] = &["-300", "-150", "-100", "-10", "0", "0", "10", "100"];

/// What the rules of a table, or one of them, may name.
#[derive(Clone, Copy)]
struct Table {
    family: &'static str,
    chains: usize,
    four: bool,
    six: bool,
}

impl Table {
    /// Whether the sets of both families of the table are for this one: those of mixed tables are for IPv4.
    fn pairs(&self) -> bool {
        self.four || self.family == "ip6"
    }
}

/// A ruleset for `nft -f`.
pub(crate) fn ruleset(dice: &mut Dice) -> String {
    let mut out = String::new();
    for number in 0..=dice.below(3) {
        let family = *dice.pick(&["inet", "inet", "ip", "ip6"]);
        let _ = writeln!(out, "table {family} t{number} {{");
        let table = Table { family, chains: dice.below(4) as usize, four: family != "ip6", six: family != "ip" };
        sets(&table, dice, &mut out);
        // Later chains first: what a rule jumps to must be there.
        for chain in (0..table.chains).rev() {
            let _ = writeln!(out, "\tchain c{chain} {{");
            rules(&table, chain + 1, false, dice, &mut out);
            out.push_str("\t}\n");
        }
        for base in 0..=dice.below(3) {
            let nat = dice.often(20);
            let (hook, kind, priority) =
                if nat { ("prerouting", "nat", "-100") } else { (*dice.pick(HOOKS), "filter", *dice.pick(PRIORITIES)) };
            let policy = if !nat && dice.often(35) { "drop" } else { "accept" };
            let _ =
                writeln!(out, "\tchain b{base} {{\n\t\ttype {kind} hook {hook} priority {priority}; policy {policy};");
            rules(&table, 0, nat, dice, &mut out);
            out.push_str("\t}\n");
        }
        out.push_str("}\n");
    }
    if dice.often(10) {
        ingress(dice, &mut out);
    }
    out
}

/// A table whose chain sees packets as they come from a device.
fn ingress(dice: &mut Dice, out: &mut String) {
    let device = dice.pick(INTERFACES);
    let _ = writeln!(
        out,
        "table netdev early {{\n\tchain first {{\n\t\ttype filter hook ingress device {device} priority 0; policy accept;"
    );
    for _ in 0..=dice.below(3) {
        let four = dice.often(50);
        let (header, nets) = if four { ("ip", V4) } else { ("ip6", V6) };
        let port = if dice.often(50) { format!("tcp dport {} ", dice.pick(PORTS)) } else { String::new() };
        let _ = writeln!(
            out,
            "\t\t{header} saddr {}{} {port}{}",
            relation(dice),
            dice.pick(nets),
            dice.pick(&["drop", "drop", "accept"])
        );
    }
    out.push_str("\t}\n}\n");
}

fn sets(table: &Table, dice: &mut Dice, out: &mut String) {
    let mut set = |name: &str, kind: &str, flags: &str, elements: &[&str]| {
        let _ = writeln!(out, "\tset {name} {{ type {kind}; {flags} elements = {{ {} }} }}", elements.join(", "));
    };
    if table.four {
        set("four", "ipv4_addr", "flags interval; auto-merge;", &dice.some(V4, 4));
        set("hosts4", "ipv4_addr", "", &dice.some(&["10.1.2.3", "10.1.2.4", "203.0.113.7", "198.51.100.128"], 3));
    }
    if table.six {
        set("six", "ipv6_addr", "flags interval; auto-merge;", &dice.some(V6, 4));
    }
    set("ports", "inet_service", "flags interval;", &dice.some(&["22", "143-200", "443", "990-993", "995"], 4));
    set("doors", "ifname", "", &dice.some(INTERFACES, 3));
    let (kind, nets) = if table.four { ("ipv4_addr", V4) } else { ("ipv6_addr", V6) };
    let ports = ["993", "990-995", "22"];
    let pairs = [0, 1].map(|i| format!("{} . {}", nets[1 + 4 * i], dice.pick(&ports))).join(", ");
    let _ = writeln!(out, "\tset pairs {{ type {kind} . inet_service; flags interval; elements = {{ {pairs} }} }}");
    // What a map could jump to is not known yet.
    let mut ends = || *dice.pick(&["accept", "drop", "return", "continue"]);
    let sources = [nets[1], nets[4]].map(|n| format!("{n} : {}", ends())).join(", ");
    let _ = writeln!(out, "\tmap sources {{ type {kind} : verdict; flags interval; elements = {{ {sources} }} }}");
    let ports = ["993", "22-143", "443"].map(|n| format!("{n} : {}", ends())).join(", ");
    let _ = writeln!(out, "\tmap by_port {{ type inet_service : verdict; flags interval; elements = {{ {ports} }} }}");
}

fn rules(table: &Table, first: usize, nat: bool, dice: &mut Dice, out: &mut String) {
    for _ in 0..dice.below(6) {
        out.push_str("\t\t");
        // nft refuses a rule that no packet can match, as one of both families is.
        let four = table.four && (!table.six || dice.often(60));
        let table = &Table { four, six: !four, ..*table };
        for _ in 0..dice.below(4) {
            matching(table, dice, out);
        }
        match dice.below(12) {
            0 => out.push_str("counter "),
            1 => out.push_str("log prefix \"invented \" "),
            2 => {
                let _ = write!(out, "meta mark set {} ", dice.pick(MARKS));
            }
            3 => {
                let _ = write!(out, "meta mark set meta mark | {} ", dice.pick(MARKS));
            }
            4 => {
                let _ = write!(out, "ct mark set {} ", dice.pick(MARKS));
            }
            _ => {}
        }
        verdict(table, first, nat, dice, out);
        out.push('\n');
    }
}

/// ` != ` now and then.
fn relation(dice: &mut Dice) -> &'static str {
    if dice.often(25) { "!= " } else { "" }
}

fn address(table: &Table, dice: &mut Dice) -> String {
    let four = table.four && (!table.six || dice.often(60));
    let (header, nets, ranges, set) = if four { ("ip", V4, V4_RANGES, "four") } else { ("ip6", V6, V6_RANGES, "six") };
    let not = relation(dice);
    match dice.below(8) {
        0 => format!("{header} saddr {not}{} ", dice.pick(ranges)),
        1 => format!("{header} saddr {not}@{set} "),
        2 => format!("{header} saddr {not}{{ {} }} ", dice.apart(nets).join(", ")),
        3 if table.four => format!("ip saddr {not}@hosts4 "),
        4 if table.four => format!("ip saddr & 255.0.255.0 == 10.0.{}.0 ", dice.below(4)),
        5 => {
            format!("{header} saddr . tcp dport {not}{{ {} . {}, {} . 990-995 }} ", nets[1], dice.pick(PORTS), nets[5])
        }
        6 => format!(
            "meta iifname . {header} saddr {{ \"eth0\" . {}, \"{}\" . {} }} ",
            nets[0],
            dice.pick(INTERFACES),
            nets[4]
        ),
        _ => format!("{header} saddr {not}{} ", dice.pick(nets)),
    }
}

fn matching(table: &Table, dice: &mut Dice, out: &mut String) {
    let not = relation(dice);
    let text = match dice.below(18) {
        0..=4 => address(table, dice),
        5..=6 => format!("tcp dport {not}{} ", dice.pick(PORTS)),
        7 => format!("tcp dport {not}{{ {} }} ", dice.some(&["22", "143", "443", "993", "1000-2000"], 4).join(", ")),
        8 => format!("tcp dport {not}@ports "),
        9 => format!("iifname {not}\"{}\" ", dice.pick(INTERFACES)),
        10 => format!("iifname {not}{} ", dice.pick(&["\"eth*\"", "{ \"eth1\", \"wg0\" }", "@doors", "\"lan*\""])),
        11 => format!("ct state {not}{} ", dice.pick(&["new", "established,related", "invalid", "{ new, untracked }"])),
        12 => format!("meta mark {not}{} ", dice.pick(MARKS)),
        13 => format!(
            "meta mark & {} {} {} ",
            dice.pick(MARKS),
            dice.pick(&["==", "!="]),
            dice.pick(&["0x0", "0x1", "0x10"])
        ),
        14 => format!("ct mark {not}{} ", dice.pick(MARKS)),
        15 => (*dice.pick(&[
            "meta l4proto tcp ",
            "meta l4proto { tcp, udp } ",
            "meta l4proto udp ",
            "tcp flags & (fin | syn | rst | ack) == syn ",
            "tcp flags syn ",
            "tcp flags ! syn ",
            "tcp flags & (syn | ack) != syn ",
            "th dport 993 ",
            "tcp sport 1024-65535 ",
            "fib daddr type local ",
            "fib daddr type != local ",
            "meta pkttype host ",
            "ct direction original ",
            "ct status dnat ",
            "meta l4proto tcp ct original proto-dst 993 ",
        ]))
        .to_owned(),
        16 if table.family == "inet" => (*dice.pick(if table.four {
            &["meta nfproto ipv4 ", "meta nfproto != ipv6 "]
        } else {
            &["meta nfproto ipv6 "]
        }))
        .to_owned(),
        17 if table.four => {
            (*dice.pick(&["ip daddr 192.0.2.1 ", "ip daddr != 192.0.2.0/24 ", "ip protocol tcp ", "ip ttl > 1 "]))
                .to_owned()
        }
        _ => String::new(),
    };
    out.push_str(&text);
}

/// A verdict that does not need `nat`, for maps.
fn plain(table: &Table, first: usize, dice: &mut Dice) -> String {
    let chains = (table.chains - first.min(table.chains)) as u64;
    match dice.below(8) {
        0..=1 if chains > 0 => format!("jump c{}", first as u64 + dice.below(chains)),
        2 if chains > 0 => format!("goto c{}", first as u64 + dice.below(chains)),
        3 => "return".to_owned(),
        4 => "continue".to_owned(),
        5..=6 => "drop".to_owned(),
        _ => "accept".to_owned(),
    }
}

fn verdict(table: &Table, first: usize, nat: bool, dice: &mut Dice, out: &mut String) {
    let text = match dice.below(15) {
        0..=2 => "accept".to_owned(),
        3..=4 => "drop".to_owned(),
        5 if !nat => (*dice.pick(&["reject", "meta l4proto tcp reject with tcp reset"])).to_owned(),
        6 => format!("tcp dport vmap {{ 993 : {}, 22 : {} }}", plain(table, first, dice), plain(table, first, dice)),
        7 => format!(
            "meta iifname vmap {{ \"eth0\" : {}, \"wg0\" : {} }}",
            plain(table, first, dice),
            plain(table, first, dice)
        ),
        8 => {
            let (header, nets) = if table.four { ("ip", V4) } else { ("ip6", V6) };
            format!(
                "{header} saddr vmap {{ {} : {}, {} : {} }}",
                nets[2],
                plain(table, first, dice),
                nets[4],
                plain(table, first, dice)
            )
        }
        9 if nat => (*dice.pick(&[
            "meta l4proto tcp redirect to :993",
            "tcp dport 993 redirect to :22",
            "tcp dport 22 redirect to :993",
        ]))
        .to_owned(),
        10 if nat && table.four => {
            let dnat = if table.family == "inet" { "dnat ip to" } else { "dnat to" };
            format!("tcp dport {} {dnat} 172.29.0.2", dice.pick(PORTS))
        }
        // A rule that only counts.
        11 => "counter".to_owned(),
        12 => match dice.below(7) {
            0 => format!("ct state vmap {{ new : {}, invalid : drop }}", plain(table, first, dice)),
            1 => format!(
                "ct state vmap {{ established : accept, related : accept, new : {} }}",
                plain(table, first, dice)
            ),
            2 => format!("meta l4proto vmap {{ udp : drop, tcp : {} }}", plain(table, first, dice)),
            3 => format!("tcp dport vmap {{ 993 : {}, * : {} }}", plain(table, first, dice), plain(table, first, dice)),
            4 if table.pairs() => {
                format!("{} saddr vmap @sources", if table.four { "ip" } else { "ip6" })
            }
            5 => "tcp dport vmap @by_port".to_owned(),
            _ => {
                let (header, net) = if table.four { ("ip", V4[1]) } else { ("ip6", V6[1]) };
                format!("{header} saddr . tcp dport vmap {{ {net} . 990-995 : {} }}", plain(table, first, dice))
            }
        },
        _ => plain(table, first, dice),
    };
    out.push_str(&text);
}
