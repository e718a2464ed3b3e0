//! What `pfctl` prints of our anchor on OpenBSD, FreeBSD and macOS: each form is the same rules.
//!
//! The forms are those of the three parsers and printers as their own code has them; see `docs/targets/pf.md`.

use std::fmt::Write as _;

use crate::dice::Dice;
use crate::saved::{Desk, drafts, shuffled};

/// How a dialect prints rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    OpenBsd,
    FreeBsd,
    MacOs,
}

impl Dialect {
    const ALL: [Self; 3] = [Self::OpenBsd, Self::FreeBsd, Self::MacOs];

    fn word(self) -> &'static str {
        match self {
            Self::OpenBsd => "openbsd",
            Self::FreeBsd => "freebsd",
            Self::MacOs => "macos",
        }
    }

    /// A line of the anchor as `-sr` prints it: no quotes around interfaces, no `floating`; OpenBSD does not print the
    /// state that it would keep anyhow. `names` prints ports by the names of a services file.
    fn rule(self, line: &str, names: bool) -> String {
        let mut line = line.to_owned();
        if let Some((head, tail)) = line.clone().split_once(" on \"") {
            let (interface, rest) = tail.split_once('"').expect("a quoted name ends");
            line = format!("{head} on {interface}{rest}");
        }
        line = line.replace("(floating, ", "(").replace(" (floating)", "");
        if self == Self::OpenBsd {
            line = line.replace(" keep state label", " label");
        }
        if names {
            line = line.replace("port = 993 ", "port = imaps ").replace("port = 143 ", "port = imap ");
        }
        line
    }

    /// The main ruleset around ours.
    fn main(self) -> &'static str {
        match self {
            Self::OpenBsd => "anchor \"harden993\" in proto tcp all\nblock return all\npass all flags S/SA\n",
            Self::FreeBsd => {
                "scrub in all fragment reassemble\nanchor \"harden993\" in proto tcp all\npass all flags S/SA keep state\n"
            }
            Self::MacOs => {
                "scrub-anchor \"com.apple/*\" all fragment reassemble\nanchor \"harden993\" in proto tcp all\nanchor \"com.apple/*\" all\n"
            }
        }
    }
}

/// What an anchor's file holds: the rules, and the tables with their networks.
fn anchor(file: &str) -> (Vec<String>, Vec<(String, Vec<String>)>) {
    let (mut rules, mut tables) = (Vec::new(), Vec::<(String, Vec<String>)>::new());
    let mut open = false;
    for line in file.lines() {
        if let Some(rest) = line.strip_prefix("table <") {
            let (name, rest) = rest.split_once('>').expect("a name ends");
            let one: Vec<String> = rest
                .split_once('{')
                .map(|(_, list)| list.split_whitespace().filter(|w| !"\\}".contains(*w)).map(str::to_owned).collect())
                .unwrap_or_default();
            tables.push((name.to_owned(), one));
            open = rest.ends_with('\\');
        } else if open {
            open = line.ends_with('\\');
            let networks = line.split_whitespace().filter(|w| !"\\}".contains(*w)).map(str::to_owned);
            tables.last_mut().expect("a table is open").1.extend(networks);
        } else if line.starts_with("pass ") || line.starts_with("block ") {
            rules.push(line.to_owned());
        }
    }
    (rules, tables)
}

/// How a listing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// `pfctl -sr`.
    Plain,
    /// `pfctl -sr` with ports by their names.
    Names,
    /// `pfctl -vvsr`: numbers, counts of tables, counters.
    Verbose,
}

/// A capture of a host, as our script takes it or as somebody types the commands.
pub(crate) fn capture(dialect: Dialect, file: &str, form: Form, dice: &mut Dice) -> String {
    let (rules, tables) = anchor(file);
    let (option, mut shown) = (if form == Form::Verbose { "-vvsr" } else { "-sr" }, String::new());
    for (number, rule) in rules.iter().enumerate() {
        let mut line = dialect.rule(rule, form == Form::Names);
        if form != Form::Verbose {
            let _ = writeln!(shown, "{line}");
            continue;
        }
        for (name, networks) in &tables {
            line = line.replace(&format!("<{name}>"), &format!("<{name}:{}>", networks.len()));
        }
        let count = dice.below(10_000);
        let _ = writeln!(shown, "@{number} {line}");
        if dialect == Dialect::MacOs {
            shown.push_str("  [ Owner : nil          Priority : 0     ]\n");
        }
        let _ = writeln!(shown, "  [ Evaluations: {count:<9} Packets: {count:<9} Bytes: {count:<11} States: 0     ]");
        let created = if dialect == Dialect::MacOs { "" } else { " State Creations: 0     " };
        let _ = writeln!(shown, "  [ Inserted: uid 0 pid 4242{created}]");
        if dialect == Dialect::FreeBsd {
            shown.push_str("  [ Last Active Time: N/A ]\n");
        }
    }
    let mut sections = vec![
        format!("#harden993-capture: pfctl -si\nStatus: Enabled for 0 days 01:02:03           Debug: err\n"),
        format!("#harden993-capture: pfctl -sr\n{}", dialect.main()),
        format!("#harden993-capture: pfctl -a harden993 {option}\n{shown}"),
    ];
    for (name, networks) in tables {
        let mut text = format!("#harden993-capture: pfctl -a harden993 -t {name} -T show\n");
        for network in shuffled(networks, dice) {
            let _ = writeln!(text, "   {network}");
        }
        sections.push(text);
    }
    // The status comes first, the rest in any order.
    let rest = sections.split_off(1);
    sections.extend(shuffled(rest, dice));
    sections.concat()
}

#[test]
fn every_dialect_prints_the_same_rules() {
    let mut tried = 0;
    for (draft, mut dice) in drafts(60) {
        for dialect in Dialect::ALL {
            let desk = Desk::new("pf", &draft, &format!("dialect = \"{}\"", dialect.word()));
            // Wildcards of interfaces are what pf may refuse whatever is left out.
            let Some(file) = desk.render("pf") else { continue };
            tried += 1;
            for form in [Form::Plain, Form::Names, Form::Verbose] {
                desk.is_unchanged(&format!("{dialect:?}, {form:?}"), &[capture(dialect, &file, form, &mut dice)]);
            }
        }
    }
    assert!(tried > 40, "pf can do too few of the policies: {tried}");
}
