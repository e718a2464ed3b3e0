//! The script as PowerShell: that it parses, which commands it holds with which parameters, and that no text gets out of its
//! literal.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use harden993::access::Pattern;
use harden993::policy::Draft;
use tree_sitter::{Node, Parser};

use crate::drafts::{adapted, draft, scattered, script, trusting, windows};
use crate::powershell::data;
use proptest::prelude::*;

/// Every node of a kind, in order.
fn find<'t>(node: Node<'t>, kind: &str, out: &mut Vec<Node<'t>>) {
    if node.kind() == kind {
        out.push(node);
    }
    let mut cursor = node.walk();
    for child in node.children(&mut cursor).collect::<Vec<_>>() {
        find(child, kind, out);
    }
}

/// Each command with how often it occurs; the text must parse.
fn commands(text: &str) -> BTreeMap<String, usize> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).expect("the grammar fits the parser");
    let tree = parser.parse(text, None).expect("there is no limit");
    assert!(!tree.root_node().has_error(), "{}", first_error(tree.root_node(), text));
    let mut nodes = Vec::new();
    find(tree.root_node(), "command_name", &mut nodes);
    let mut out = BTreeMap::new();
    for node in nodes {
        *out.entry(text[node.byte_range()].to_owned()).or_insert(0) += 1;
    }
    out
}

fn first_error(node: Node<'_>, text: &str) -> String {
    let mut cursor = node.walk();
    for child in node.children(&mut cursor).collect::<Vec<_>>() {
        if child.has_error() {
            return first_error(child, text);
        }
    }
    let around: String = text[node.start_byte()..].chars().take(80).collect();
    format!("line {}: {around}", node.start_position().row + 1)
}

/// The commands that the script may hold: its own functions, the cmdlets that it uses, nothing that runs other text.
const ALLOWED: &[&str] = &[
    "Add-OwnRule",
    "Assert-OwnRule",
    "Clear-OwnRule",
    "ConvertTo-AddressNumber",
    "ConvertTo-AddressSpan",
    "ConvertTo-AddressText",
    "ConvertTo-AsciiJson",
    "ConvertTo-Json",
    "ConvertTo-WordText",
    "ForEach-Object",
    "Get-HostWarning",
    "Get-IneffectiveRule",
    "Get-NetFirewallAddressFilter",
    "Get-NetFirewallApplicationFilter",
    "Get-NetFirewallInterfaceFilter",
    "Get-NetFirewallInterfaceTypeFilter",
    "Get-NetFirewallPortFilter",
    "Get-NetFirewallProfile",
    "Get-NetFirewallRule",
    "Get-NetFirewallSecurityFilter",
    "Get-NetFirewallServiceFilter",
    "Get-OwnRule",
    "Get-RuleDifference",
    "Get-Variable",
    "New-NetFirewallRule",
    "Remove-NetFirewallRule",
    "Repair-OwnRule",
    "Set-NetFirewallRule",
    "Set-StrictMode",
    "Sort-Object",
    "Where-Object",
];

/// The parameters that the documentation of these cmdlets has in all versions from Windows Server 2016 on.
const PARAMETERS: &[(&str, &[&str])] = &[
    (
        "New-NetFirewallRule",
        &[
            "PolicyStore",
            "Name",
            "DisplayName",
            "Description",
            "Group",
            "Enabled",
            "Profile",
            "Direction",
            "Action",
            "EdgeTraversalPolicy",
            "Protocol",
            "LocalPort",
            "RemotePort",
            "LocalAddress",
            "RemoteAddress",
            "Program",
            "Service",
            "InterfaceAlias",
            "InterfaceType",
            "Confirm",
            "ErrorAction",
        ],
    ),
    (
        "Set-NetFirewallRule",
        &[
            "PolicyStore",
            "Name",
            "NewDisplayName",
            "Description",
            "Enabled",
            "Profile",
            "Direction",
            "Action",
            "EdgeTraversalPolicy",
            "Protocol",
            "LocalPort",
            "RemotePort",
            "LocalAddress",
            "RemoteAddress",
            "Program",
            "Service",
            "InterfaceAlias",
            "InterfaceType",
            "Confirm",
            "ErrorAction",
        ],
    ),
    ("Remove-NetFirewallRule", &["PolicyStore", "Name", "Confirm", "ErrorAction"]),
    ("Get-NetFirewallRule", &["PolicyStore", "ErrorAction"]),
    ("Get-NetFirewallProfile", &["PolicyStore", "ErrorAction"]),
    ("Get-NetFirewallAddressFilter", &["PolicyStore", "ErrorAction"]),
    ("Get-NetFirewallApplicationFilter", &["PolicyStore", "ErrorAction"]),
    ("Get-NetFirewallInterfaceFilter", &["PolicyStore", "ErrorAction"]),
    ("Get-NetFirewallInterfaceTypeFilter", &["PolicyStore", "ErrorAction"]),
    ("Get-NetFirewallPortFilter", &["PolicyStore", "ErrorAction"]),
    ("Get-NetFirewallSecurityFilter", &["PolicyStore", "ErrorAction"]),
    ("Get-NetFirewallServiceFilter", &["PolicyStore", "ErrorAction"]),
];

/// The parameters that a cmdlet must be given: without a store it might change another one, without a name it means every
/// rule of the host, without an action it allows.
const NEEDED: &[(&str, &[&str])] = &[
    ("New-NetFirewallRule", &["PolicyStore", "Name", "Group", "Action", "Profile", "Direction", "ErrorAction"]),
    ("Set-NetFirewallRule", &["PolicyStore", "Name", "Action", "ErrorAction"]),
    ("Remove-NetFirewallRule", &["PolicyStore", "Name", "ErrorAction"]),
    ("Get-NetFirewallRule", &["PolicyStore", "ErrorAction"]),
];

/// The parameters of each call of a firewall cmdlet.
fn calls(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).expect("the grammar fits the parser");
    let tree = parser.parse(text, None).expect("there is no limit");
    let mut nodes = Vec::new();
    find(tree.root_node(), "command", &mut nodes);
    let mut out = Vec::new();
    for node in nodes {
        let mut names = Vec::new();
        find(node, "command_name", &mut names);
        let Some(name) = names.first().map(|n| text[n.byte_range()].to_owned()) else { continue };
        if !name.contains("-NetFirewall") {
            continue;
        }
        let mut parameters = Vec::new();
        find(node, "command_parameter", &mut parameters);
        let clean = |n: &Node<'_>| text[n.byte_range()].trim_start_matches('-').trim_end_matches(':').to_owned();
        out.push((name, parameters.iter().map(clean).collect()));
    }
    out
}

fn check_calls(text: &str) {
    for (name, parameters) in calls(text) {
        let (_, known) = PARAMETERS.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name} is known"));
        let unknown: Vec<_> = parameters.iter().filter(|p| !known.contains(&p.as_str())).collect();
        assert!(unknown.is_empty(), "{name} has {unknown:?}");
        for (_, needed) in NEEDED.iter().filter(|(n, _)| *n == name) {
            let missing: Vec<_> = needed.iter().filter(|p| !parameters.contains(**p)).collect();
            assert!(missing.is_empty(), "{name} lacks {missing:?}");
        }
    }
}

fn named(interfaces: &[&str]) -> Draft {
    Draft { interfaces: interfaces.iter().map(|i| Pattern::name(*i)).collect(), ..trusting(&["198.51.100.0/24"]) }
}

#[test]
fn the_script_parses_and_holds_known_commands_only() {
    for draft in [trusting(&["198.51.100.0/24", "2001:db8::/32"]), Draft::default(), scattered(1500), named(&["Wi-Fi"])]
    {
        let text = script("office-mail", &draft.lower());
        let found = commands(&text);
        let unknown: Vec<_> = found.keys().filter(|c| !ALLOWED.contains(&c.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        for cmdlet in ["New-NetFirewallRule", "Set-NetFirewallRule", "Remove-NetFirewallRule"] {
            assert_eq!(found.get(cmdlet), Some(&1), "{cmdlet} is called in one guarded place");
        }
        assert_eq!(calls(&text).len(), 13);
        check_calls(&text);
    }
}

#[test]
fn the_capture_script_only_reads() {
    let text = windows().capture_script().expect("there is one");
    let found = commands(text);
    let reads = |c: &str| c.starts_with("Get-") || c.starts_with("ConvertTo-") || ["Set-StrictMode"].contains(&c);
    assert!(found.keys().all(|c| reads(c)), "{found:?}");
    check_calls(text);
    assert!(text.bytes().all(|b| b == b'\n' || (0x20..=0x7e).contains(&b)));
}

/// PowerShell's own parser, where there is one: `HARDEN993_PWSH`, else `pwsh` on the path.
#[test]
fn powershell_itself_finds_no_error() {
    let program = std::env::var_os("HARDEN993_PWSH").unwrap_or_else(|| "pwsh".into());
    let command = "$errors = $null; $tokens = $null; \
        $null = [System.Management.Automation.Language.Parser]::ParseInput([Console]::In.ReadToEnd(), [ref] $tokens, \
        [ref] $errors); $errors | ForEach-Object { $_.ToString() }; exit $errors.Count";
    for text in
        [script("office-mail", &named(&["Préd’s Wi-Fi"]).lower()), windows().capture_script().unwrap().to_owned()]
    {
        let child = std::process::Command::new(&program)
            .args(["-NoProfile", "-NonInteractive", "-Command", command])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            let _ = writeln!(std::io::stderr(), "skipped: there is no PowerShell here");
            return;
        };
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// In a double-quoted text `$name:` is a variable of another scope, or an error, and the grammar does not see it.
#[test]
fn no_variable_is_followed_by_a_colon() {
    for text in [script("m", &named(&["Wi-Fi"]).lower()), windows().capture_script().unwrap().to_owned()] {
        for part in text.split('$').skip(1) {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
            assert!(end == 0 || !part[end..].starts_with(':'), "${}", &part[..end]);
        }
    }
}

#[test]
fn hostile_text_stays_in_its_literal() {
    let benign = commands(&script("office-mail", &named(&["Ethernet"]).lower()));
    for hostile in [
        "'; Remove-Item C:\\ -Recurse #",
        "’; Write-Output PWNED #",
        "‘‚‛'; exit",
        "$(calc.exe)",
        "#> Write-Output x <#",
        "\"; & cmd /c x; \"",
        "@'x'@",
        "{{ 7 + 7 }}{% for x in y %}{# z #}",
        "# --- end of data ---",
        "–ArgumentList —x ―y",
        "ESPAÑA; Write-Output PWNED #",
        "日本 😀 \u{a0}\u{3000}",
        "@(1) + @{}",
        "\u{2028}\u{202e}abc",
        "-join",
        "'@",
    ] {
        let text = script("office-mail", &named(&[hostile]).lower());
        assert_eq!(commands(&text), benign, "{hostile}");
        assert_eq!(data(&text).interfaces, [hostile]);
    }
}

#[test]
fn what_cannot_be_an_alias_is_refused() {
    for bad in ["a\nb", "a\u{0}", "wg*", "a[1]", "a?", "`x", "", "\u{85}", "\u{7f}"] {
        let policy = Draft { interfaces: vec![Pattern::parse(bad)], ..Draft::default() }.lower();
        assert_eq!(windows().refuses(&policy, &crate::drafts::lenient()).len(), 1, "{bad:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_byte_is_printable_ascii_and_every_line_ends_as_windows_has_it(draft in draft()) {
        let text = script("office-mail", &draft.lower());
        prop_assert!(text.bytes().all(|b| b == b'\r' || b == b'\n' || (0x20..=0x7e).contains(&b)));
        prop_assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        prop_assert_eq!(text.matches('\r').count(), text.matches("\r\n").count());
        prop_assert!(text.lines().all(|l| l.len() <= 160 && l.trim_end() == l), "lines are short and end in no blank");
    }

    #[test]
    fn any_alias_is_read_back(alias in "[^\\p{C}*?\\[\\]`]{1,40}") {
        let draft = named(&[&alias]);
        let policy = adapted(&draft.clone().lower()).policy;
        prop_assume!(windows().refuses(&policy, &crate::drafts::lenient()).is_empty());
        prop_assert_eq!(data(&script("m", &draft.lower())).interfaces, vec![alias]);
    }
}
