//! What is read of rulesets that are not ours.

use std::fmt::Write as _;

use crate::access::{Interface, Path, Question, Verdict};
use crate::net::AddrSet;
use crate::ruleset::{Evaluator, Ruleset};
use crate::target::{HEADING, Listing, ReadError};

use super::read;

fn ruleset(text: &str) -> Ruleset {
    read(&Listing::parse(text)).unwrap()
}

fn error(text: &str) -> ReadError {
    read(&Listing::parse(text)).unwrap_err()
}

/// Who gets in, and of whom it is not known, as text.
fn ask(text: &str, q: &Question) -> (String, String) {
    let ruleset = ruleset(text);
    let access = Evaluator::new(&ruleset).ask(q);
    let v4 = |set: AddrSet| AddrSet { v4: set.v4, ..AddrSet::new() }.to_string();
    (v4(access.reachable()), v4(access.unknown()))
}

/// An IPv4 filter table with these rules and INPUT's policy DROP, asked about port 993.
fn reach(rules: &str) -> (String, String) {
    ask(&table(rules), &Question::opening(993))
}

fn table(rules: &str) -> String {
    format!("*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n{rules}\nCOMMIT\n")
}

fn known(rules: &str) -> String {
    let (reached, unknown) = reach(rules);
    assert_eq!(unknown, "none", "{rules}");
    reached
}

const NET: &str = "198.51.100.0/24";

#[test]
fn tests_are_read_in_every_spelling() {
    for rule in [
        "-A INPUT -s 198.51.100.0/24 -p tcp -m tcp --dport 993 -j ACCEPT",
        "[12:3456] -A INPUT -s 198.51.100.7/255.255.255.0 -p 6 --dport imaps -j ACCEPT",
        "-A INPUT -j ACCEPT --source 198.51.100.0/24 --protocol all",
        "-A INPUT -j REJECT --reject-with tcp-reset -p tcp -m iprange ! --src-range 198.51.100.0-198.51.100.255\n-A INPUT -j ACCEPT",
        "-A INPUT -p tcp -m multiport --dports 143,imaps:995 -s 198.51.100.0/25,198.51.100.128/25 -j ACCEPT",
        "-A INPUT -m iprange --src-range 198.51.100.0-198.51.100.255 -m state --state NEW -j ACCEPT",
        "-A INPUT -s 198.51.100.0/24 ! -p udp ! -i lo -m conntrack --ctstate NEW,RELATED -m addrtype --dst-type LOCAL -j ACCEPT",
        "-A INPUT -s 198.51.100.0/24 -p ! udp -m mark --mark 0x0/0xff --syn -j ACCEPT",
        "-A INPUT -s 198.51.100.0/24 -p tcp -m tcp ! --dport 22 -m comment --comment \"-j DROP # \\\" it\" -j ACCEPT",
        "-A INPUT -s 198.51.100.0/24 -p tcp ! --sport 1:0 -m tcp ! --tcp-flags SYN,ACK ACK -j ACCEPT",
    ] {
        assert_eq!(known(rule), NET, "{rule}");
    }
    for rule in [
        "-A INPUT -s 198.51.100.0/24 -p udp --dport 993 -j ACCEPT",
        "-A INPUT -p tcp -m tcp ! --dport 993 -j ACCEPT",
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT",
        "-A INPUT -m iprange --src-range 10.0.0.9-10.0.0.1 -j ACCEPT",
        "-A INPUT -m mark --mark 0x1 -j ACCEPT",
        "-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT",
        "-A INPUT -s 198.51.100.0/24 -p tcp",
    ] {
        assert_eq!(known(rule), "none", "{rule}");
    }
}

#[test]
fn what_is_not_modelled_is_unknown_only_where_it_matters() {
    for test in [
        "-m recent --rcheck --seconds 60 --name x --rsource",
        "-m hashlimit --hashlimit-upto 5/min --hashlimit-mode srcip --hashlimit-name other",
        "-m connlimit --connlimit-upto 3 --connlimit-mask 32 --connlimit-saddr",
        "-m limit --limit 5/min",
        "-m set --match-set office src",
        "-p tcp --dport nosuchservice",
        "-m string --string \"-j ACCEPT\" --algo bm",
        "-m mac --mac-source 00:11:22:33:44:55",
        "-p tcp -m tcp --sport 1024:65535",
    ] {
        let (reached, unknown) =
            reach(&format!("-A INPUT -s {NET} {test} -j ACCEPT\n-A INPUT -s 203.0.113.7/32 -j ACCEPT"));
        assert_eq!((reached.as_str(), unknown.as_str()), ("203.0.113.7", NET), "{test}");
    }
    // It does not matter whether a test holds if both ways end alike.
    assert_eq!(known("-A INPUT -m recent --rcheck -j DROP"), "none");
    let (_, unknown) = reach(&format!("-A INPUT -s {NET} -p tcp -j TARPIT\n-A INPUT -j DROP"));
    assert_eq!(unknown, NET);
}

#[test]
fn chains_are_jumped_and_gone_to() {
    let jump = "-A INPUT -j A\n-A INPUT -s 203.0.113.7/32 -j ACCEPT\n";
    let chains = |rules: &str| known(&format!(":A - [0:0]\n:B - [0:0]\n{jump}{rules}"));
    assert_eq!(
        chains("-A A -j B\n-A B -s 203.0.113.7/32 -j RETURN\n-A B -s 203.0.113.0/24 -j ACCEPT").len(),
        "203.0.113.0/24".len()
    );
    // The end of a chain that was gone to goes to the caller of the one that went.
    assert_eq!(chains("-A A -g B\n-A A -j ACCEPT"), "203.0.113.7");
    assert_eq!(chains("-A A -j B\n-A A -s 198.51.100.0/24 -j ACCEPT"), "198.51.100.0/24, 203.0.113.7");
    // In a built-in chain it is the policy.
    assert_eq!(known(":A - [0:0]\n-A INPUT -g A\n-A INPUT -j ACCEPT"), "none");
    let (_, unknown) = reach(":A - [0:0]\n-A INPUT -j A\n-A A -j A");
    assert!(unknown.starts_with("0.0.0.1"), "a circle: {unknown}");
}

#[test]
fn every_table_on_the_way_counts() {
    let tables = |other: &str| format!("{}{other}", table("-A INPUT -p tcp --dport 993 -j ACCEPT"));
    let all = ask(&tables(""), &Question::opening(993)).0;
    assert!(all.starts_with("0.0.0.1"));
    let mangle = tables(
        "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n-A INPUT ! -s 198.51.100.0/24 -j DROP\nCOMMIT\n",
    );
    assert_eq!(ask(&mangle, &Question::opening(993)), (NET.to_owned(), "none".to_owned()));
    // A port that is redirected away is asked where it comes out.
    let nat = tables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 993 -j REDIRECT --to-ports 10993\nCOMMIT\n",
    );
    let outside = Question { path: Path::Outside, ..Question::opening(993) };
    assert_eq!(ask(&nat, &outside).0, "none");
    // And one that goes to a container passes FORWARD.
    let dnat = tables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING ! -i docker0 -p tcp --dport 993 -j DNAT --to-destination 172.17.0.2:10993\nCOMMIT\n",
    );
    assert_eq!(ask(&dnat, &outside).0, all);
    let inside = Question { interface: Interface::Named("docker0".to_owned()), ..outside };
    assert_eq!(ask(&dnat, &inside).0, all);
}

#[test]
fn sets_are_those_of_ipset_save() {
    let sets = "create office hash:net family inet hashsize 1024 maxelem 65536\n\
                add office 198.51.100.0/24 timeout 300 packets 0 bytes 0 comment \"no nomatch here\"\n\
                add office 198.51.100.128/25 timeout 300 nomatch packets 0 bytes 0 comment \"b\"\n\
                create strange hash:ip family inet hashsize 1024 maxelem 65536\n\
                add strange 203.0.113.9 203.0.113.10\n\
                create pairs hash:net,port family inet hashsize 1024 maxelem 65536\n\
                add pairs 203.0.113.0/24,tcp:993\nadd pairs 192.0.2.0/24,tcp:22\nadd pairs 192.0.2.0/24,udp:993\n\
                create both list:set size 8\nadd both office\nadd both pairs\n";
    let with = |test: &str| {
        let text = format!(
            "{HEADING}iptables-save\n{}{HEADING}ipset save\n{sets}",
            table(&format!("-A INPUT {test} -j ACCEPT"))
        );
        ask(&text, &Question::opening(993)).0
    };
    assert_eq!(with("-m set --match-set office src"), "198.51.100.0/25");
    assert_eq!(with("-m set --match-set pairs src,dst"), "203.0.113.0/24");
    assert_eq!(with("-m set --match-set both src,dst"), "198.51.100.0/25, 203.0.113.0/24");
    assert!(with("-m set ! --match-set office src").starts_with("0.0.0.1"));
    assert_eq!(with("-m set --match-set strange src"), "none");
}

#[test]
fn families_and_variants_are_told_apart() {
    let v6 = "# Generated by ip6tables-save v1.8.9 (nf_tables) on Mon Jan  5 10:00:00 2026\n*filter\n:INPUT DROP [0:0]\n\
              -A INPUT -p tcp -m tcp --dport 993 -j ACCEPT\nCOMMIT\n";
    let access = Evaluator::new(&ruleset(v6)).ask(&Question::opening(993));
    assert!(access.refused().is_empty());
    let both = format!(
        "{HEADING}iptables-nft-save\n{}{HEADING}iptables-legacy-save\n{}",
        table("-A INPUT -s 198.51.100.0/24 -j ACCEPT"),
        table("-A INPUT -s 198.51.100.128/25 -j ACCEPT")
    );
    // A packet passes both variants.
    assert_eq!(ask(&both, &Question::opening(993)).0, "198.51.100.128/25");
    assert_eq!(ruleset(&both).remarks.len(), 1);
    let hidden =
        "# Generated by iptables-save v1.8.9 (nf_tables) on x\n# Table `filter' is incompatible, use 'nft' tool.\n";
    let access = Evaluator::new(&ruleset(hidden)).ask(&Question::opening(993));
    assert!(matches!(access.at([192, 0, 2, 1].into()).verdict, Verdict::Unknown { .. }));
    assert!(matches!(access.at("2001:db8::1".parse().unwrap()).verdict, Verdict::Accept));
}

#[test]
fn what_is_cut_off_or_no_listing_is_an_error_with_its_line() {
    assert_eq!(error("*filter\n:INPUT DROP [0:0]\n-A INPUT -j ACCEPT\n").line, 4);
    assert_eq!(error("*filter\n:INPUT DROP [0:0]\n*nat\nCOMMIT\n").line, 3);
    assert_eq!(error("*filter\nINPUT DROP\nCOMMIT\n").line, 2);
    let section = format!("{HEADING}iptables-save\niptables: command not found\n");
    assert_eq!(error(&section).line, 2);
    // What is another firewall's is passed over.
    assert_eq!(ruleset("table inet filter {\n}\n"), Ruleset::default());
}

#[test]
fn hostile_listings_are_read_in_time() {
    let mut deep = String::new();
    for i in 0..10_000 {
        writeln!(deep, ":C{i} - [0:0]\n-A C{i} -j C{}", i + 1).unwrap();
    }
    let (_, unknown) = reach(&format!("{deep}-A INPUT -j C0"));
    assert_ne!(unknown, "", "evaluated without a deep stack");
    let odd = "-A INPUT -s\n-A INPUT ! !\n-A INPUT -m\n-A INPUT -j\n-A INPUT --dport\n-A INPUT \"\n-A INPUT --hashlimit-above";
    reach(odd);
    // A tree of ours in a circle, and one that leads everywhere from everywhere, stay chains.
    let circle = ":H993-TRUSTED - [0:0]\n:H993-Xa - [0:0]\n-A INPUT -j H993-TRUSTED\n-A H993-TRUSTED -g H993-Xa\n-A H993-Xa -g H993-Xa";
    assert_ne!(reach(circle).1, "none");
    let mut maze = ":H993-TRUSTED - [0:0]\n-A INPUT -j H993-TRUSTED\n-A H993-TRUSTED -g H993-X0\n".to_owned();
    for i in 0..40 {
        writeln!(maze, ":H993-X{i} - [0:0]\n-A H993-X{i} -s 0.0.0.0/1 -g H993-X{0}\n-A H993-X{i} -g H993-X{0}", i + 1)
            .unwrap();
    }
    maze += ":H993-X40 - [0:0]\n-A H993-X40 -j ACCEPT";
    assert!(known(&maze).starts_with("0.0.0.1"));
}
