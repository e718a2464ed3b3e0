//! No text of a profile can leave its place in a rendering, whatever it contains: it is refused, or the rendering is the one
//! of a harmless text.

#[path = "support/dice.rs"]
mod dice;

use std::collections::BTreeMap;
use std::path::Path;

use harden993::policy::{Feature, TargetSettings};
use harden993::profile::{Loaded, Options, Origin, load};
use harden993::target::{self, adapt};

use dice::Dice;

/// What breaks out of quotes, comments, commands, templates and lines, in the languages of all targets.
const FRAGMENTS: &[&str] = &[
    "\"",
    "'",
    "`",
    "\\",
    "\\\"",
    "\"\"",
    "''",
    "'\\''",
    "$",
    "$(id)",
    "${IFS}",
    "$((1))",
    "`id`",
    ";",
    "&&",
    "||",
    "|",
    "&",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\0",
    "\u{1b}[2J",
    "\u{7}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "#",
    "#>",
    "<#",
    "# ",
    "--",
    "/*",
    "*/",
    "//",
    "{{ name }}",
    "{% raw %}",
    "{{ 7 * 7 }}",
    "{# x #}",
    "}}",
    "{",
    "}",
    "@{",
    "@\"",
    "\"@",
    "@'",
    "'@",
    "%s",
    "%n",
    "!",
    "~",
    "*",
    "?",
    // Marks that turn the direction of text, and quotes that only look like others; PowerShell takes the latter for quotes.
    "\u{202e}",
    "\u{2066}",
    "\u{2069}",
    "\u{200f}",
    "\u{61c}",
    "\u{200b}",
    "\u{feff}",
    "\u{2018}",
    "\u{2019}",
    "\u{201a}",
    "\u{201b}",
    "\u{201c}",
    "\u{201d}",
    "\u{201e}",
    "\u{2013}",
    "\u{2014}",
    "\u{2015}",
    "\u{ff02}",
    "\u{ff07}",
    "\u{e9}",
    "\u{1f4e7}",
    "flush ruleset",
    "COMMIT",
    "-A INPUT -j ACCEPT",
    "pass quick all",
    "Remove-Item",
    " accept",
    "\" accept",
    "\nflush ruleset\n",
    "'; Remove-NetFirewallRule -All #",
    "\nEOF\n",
    "\nCOMMIT\n*filter\n:INPUT ACCEPT\n",
    "x}\npass in quick\n",
    "eth0",
    "10.0.0.0/8",
    "office",
    "elements = { 0.0.0.0/0 }",
    "include \"/etc/passwd\"",
    "-",
    "+",
    "wg+",
    "a b",
    "<",
    ">",
    "(",
    ")",
    "[",
    "]",
    "^",
    "=",
    ",",
    ":",
    ".",
];

/// A text field of a profile.
struct Field {
    /// Where it stands, as in [`PROFILE`].
    name: &'static str,
    /// A text that is fine there; empty where none is.
    harmless: &'static str,
    /// What a text that is accepted may do to the rendering.
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Nothing at all.
    Silent,
    /// Be in it, as a name.
    Shown,
    /// Decide what is in it: a network, a rate, a word.
    Decides,
}

const fn field(name: &'static str, harmless: &'static str, role: Role) -> Field {
    Field { name, harmless, role }
}

const FIELDS: &[Field] = &[
    field("name", "office", Role::Shown),
    field("description", "Mail", Role::Silent),
    field("include", "common.toml", Role::Silent),
    field("service.interfaces", "eth0", Role::Shown),
    field("untrusted.action", "drop", Role::Decides),
    field("untrusted.log.rate", "10/minute", Role::Decides),
    field("limits.new_connections", "60/minute", Role::Decides),
    field("trusted.name", "berlin", Role::Silent),
    field("trusted.networks", "10.0.1.0/24", Role::Decides),
    field("trusted.except", "10.0.0.66", Role::Decides),
    field("trusted.file", "lists/berlin.txt", Role::Silent),
    field("trusted.comment", "NET-42", Role::Silent),
    field("blocked.name", "abuse", Role::Silent),
    field("blocked.networks", "10.0.0.7", Role::Decides),
    field("blocked.comment", "NET-7", Role::Silent),
    field("check.allow", "wide-network", Role::Silent),
    field("target.pf.dialect", "openbsd", Role::Decides),
    field("target.pf.interfaces", "em0", Role::Shown),
    field("target.pf.degrade", "limits", Role::Silent),
    field("target.windows.interfaces", "Ethernet", Role::Shown),
    // Fields that most profiles do not have; see `profile`.
    field("trusted.via", "eth0", Role::Shown),
    field("trusted.expires", "", Role::Silent),
    field("an unknown key", "", Role::Silent),
    // Lines of the list file.
    field("list.network", "10.9.0.0/24", Role::Decides),
    field("list.comment", "Berlin", Role::Silent),
];

/// A profile with every text field, each as `@place@`.
const PROFILE: &str = r#"
schema = 1
name = @name@
description = @description@
include = [@include@]
[service]
ports = [143, 993]
interfaces = [@service.interfaces@]
[untrusted]
action = @untrusted.action@
log = { rate = @untrusted.log.rate@, burst = 10 }
[limits]
new_connections = @limits.new_connections@
burst = 40
concurrent = 20
[check]
allow = [@check.allow@]
[target.pf]
dialect = @target.pf.dialect@
interfaces = [@target.pf.interfaces@]
degrade = [@target.pf.degrade@]
[target.windows]
interfaces = [@target.windows.interfaces@]
[[blocked]]
name = @blocked.name@
networks = [@blocked.networks@]
comment = @blocked.comment@
[[trusted]]
name = @trusted.name@
networks = ["10.0.0.0/24", "fd00::/64", @trusted.networks@]
except = [@trusted.except@]
file = @trusted.file@
comment = @trusted.comment@
"#;

/// The profile with a text in one of its fields.
fn profile(field: &Field, text: &str) -> String {
    let mut out = PROFILE.to_owned();
    for f in FIELDS {
        let value = if f.name == field.name { text } else { f.harmless };
        out = out.replace(&format!("@{}@", f.name), &toml_string(value));
    }
    let value = toml_string(text);
    match field.name {
        // An interface that is not guarded may not be named, so here all are.
        "trusted.via" => {
            out.split_inclusive('\n').filter(|l| !l.starts_with("interfaces")).collect::<String>()
                + &format!("[[trusted]]\nname = \"vpn\"\nvia = [{value}]\n")
        }
        "trusted.expires" => out + &format!("expires = {value}\n"),
        "an unknown key" => out + &format!("{value} = 1\n"),
        _ => out,
    }
}

/// A text as a TOML string.
fn toml_string(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

/// The profile with a text in one of its fields, loaded.
fn loaded(field: &Field, text: &str) -> Loaded {
    let profile = profile(field, text);
    let list = match field.name {
        "list.network" => format!("10.0.0.0/24\n{text}\nfd00::/64\n"),
        "list.comment" => format!("10.0.0.0/24 # {text}\n# {text}\nfd00::/64\n"),
        _ => "10.0.0.0/24\nfd00::/64\n".to_owned(),
    };
    let store = |path: &Path| -> std::io::Result<Vec<u8>> {
        let is_list = path.ends_with("berlin.txt") || (field.name == "trusted.file" && !path.ends_with("common.toml"));
        Ok(if is_list { list.clone().into_bytes() } else { Vec::new() })
    };
    let specs: Vec<_> = target::ALL.iter().map(|t| t.spec()).collect();
    let options = Options { today: jiff::civil::date(2026, 11, 25), specs: &specs };
    load(&Origin::Text { text: profile.into_bytes(), dir: ".".into() }, &options, &store)
}

/// What every target makes of a profile; an error where it refuses.
fn rendered(loaded: &Loaded) -> BTreeMap<&'static str, String> {
    let policy = loaded.policy.as_ref().expect("a profile without errors has a policy");
    let mut out = BTreeMap::new();
    for target in target::ALL {
        let name = target.spec().name;
        let settings = TargetSettings { degrade: Feature::ALL.into(), ..loaded.target(name) };
        let text = match adapt(*target, policy, &loaded.asked, &settings) {
            Err(refusals) => format!("refused: {refusals:?}"),
            Ok(adapted) => {
                let job = adapted.job(policy.digest(), &loaded.name, &settings);
                let files = target::render(*target, &job).unwrap_or_else(|e| panic!("{name}: {e}"));
                files.iter().map(|f| f.content.as_str()).collect()
            }
        };
        out.insert(name, text);
    }
    out
}

/// Texts to be put into a field: each fragment, some of them together, and long ones.
fn texts() -> Vec<String> {
    let mut out: Vec<String> = FRAGMENTS.iter().map(|f| (*f).to_owned()).collect();
    let mut dice = Dice::new(9);
    for fragment in FRAGMENTS {
        out.push(format!("office{fragment}"));
        let more: String = (0..2 + dice.below(4)).map(|_| *dice.pick(FRAGMENTS)).collect();
        out.push(more);
    }
    out.extend(
        ["", "a", &"a".repeat(32), &"a".repeat(33), &"a".repeat(10_000), &"\"".repeat(10_000), &"é".repeat(10_000)]
            .map(str::to_owned),
    );
    out
}

#[test]
fn hostile_text_is_refused_or_changes_nothing() {
    let (mut refused, mut harmless) = (0, 0);
    for field in FIELDS {
        let plain = loaded(field, field.harmless);
        // Some fields take no text at all.
        let expected = (!plain.has_errors()).then(|| rendered(&plain));
        assert_eq!(expected.is_none(), field.harmless.is_empty(), "{}: {:?}", field.name, plain.problems);
        for text in texts() {
            let hostile = loaded(field, &text);
            if hostile.has_errors() {
                refused += 1;
                continue;
            }
            harmless += 1;
            let expected = expected.as_ref().expect("what refuses harmless text refuses this");
            for (target, found) in rendered(&hostile) {
                same_commands(field, &text, target, &expected[target], &found);
            }
        }
    }
    assert!(refused > 1000 && harmless > 100, "{refused} texts were refused, {harmless} were not");
}

/// Whether two renderings hold the same lines but for a name that may show and the digest that depends on the policy.
fn same_commands(field: &Field, text: &str, target: &str, expected: &str, found: &str) {
    let context = format!("{}, {text:?}, {target}", field.name);
    if field.role == Role::Shown {
        // Only a valid name or interface comes here, and those are of letters, digits and few marks.
        // Windows' own names of interfaces have more: `Ethernet #2`, `vEthernet (Default Switch)`.
        let marks = if field.name == "target.windows.interfaces" { " .:_-*@#()+" } else { " .:_-*@" };
        let plain = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
        assert!(text.chars().all(plain) && text.len() <= 256, "{context} is taken as a name");
        // A target may know fewer names than a profile.
        if !found.starts_with("refused: ") && !expected.starts_with("refused: ") {
            assert_eq!(found.lines().count(), expected.lines().count(), "{context}");
        }
        // A text that is a word of the rendering anyhow cannot be told from it, and a wildcard is spelled in each target's way.
        if !expected.contains(text) && !text.contains('*') && !found.starts_with("refused: ") {
            assert_eq!(skeleton(found, text), skeleton(expected, field.harmless), "{context}");
        }
        return;
    }
    if field.role == Role::Decides {
        // A network, a rate or a word; in a list file also blanks, ends of lines and comments.
        let value = |line: &str| {
            line.split(['#', ';'])
                .next()
                .is_some_and(|v| v.chars().all(|c| c.is_ascii_alphanumeric() || "./:- \t\r".contains(c)))
        };
        let fine = if field.name == "list.network" { text.lines().all(value) } else { value(text) };
        assert!(fine, "{context} is taken as a value");
        return;
    }
    assert_eq!(found, expected, "{context}");
}

/// The lines of a rendering, in order of their text, without a name and without what is computed from it (digests).
fn skeleton(rendering: &str, name: &str) -> Vec<String> {
    let plain = rendering.replace(name, "@");
    let word =
        |w: &str| if w.len() >= 8 && w.bytes().all(|b| b.is_ascii_hexdigit()) { "#".to_owned() } else { w.to_owned() };
    let line = |l: &str| {
        l.split_inclusive(|c: char| !c.is_ascii_alphanumeric())
            .map(|w| {
                let (body, end) = w.split_at(w.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
                word(body) + end
            })
            .collect::<String>()
    };
    let mut lines: Vec<String> = plain.lines().map(line).collect();
    lines.sort();
    lines
}
