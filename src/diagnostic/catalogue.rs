//! Every code that a problem can have. The comment at a code is its documentation: `docs/problems.md` is made from it.

use std::fmt;

/// How severe a problem is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The profile is not used.
    Error,
    /// The profile is used, and somebody should look at it. `[check] allow` silences it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A kind of problem.
#[derive(PartialEq, Eq, Debug)]
pub struct Code {
    /// Its stable name, in kebab case.
    pub name: &'static str,
    /// How severe it is.
    pub severity: Severity,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Why it matters and what to do about it: a few sentences of Markdown, each line starting with one blank.
    pub explanation: &'static str,
}

/// The code of a name.
pub fn code(name: &str) -> Option<&'static Code> {
    CATALOGUE.iter().copied().find(|c| c.name == name)
}

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $id:ident = $name:literal, $severity:ident, $summary:literal;)+) => {
        /// The codes by their names in the program.
        pub mod codes {
            use super::{Code, Severity};
            $($(#[doc = $doc])+ pub static $id: Code = Code {
                name: $name,
                severity: Severity::$severity,
                summary: $summary,
                explanation: concat!($($doc, "\n"),+),
            };)+
        }

        /// Every code: first the errors, then the warnings.
        pub static CATALOGUE: &[&Code] = &[$(&codes::$id),+];
    };
}

catalogue! {
    /// The text breaks the grammar of TOML 1.0. The message says what was expected at the marked place. Strings stand in
    /// double quotes, lists in brackets, and every `[[trusted]]` entry starts with its own header.
    SYNTAX = "syntax", Error, "the file is not valid TOML";

    /// The marked bytes are no UTF-8. Save the file as UTF-8; editors on Windows and old mail systems may have written
    /// Latin-1 or UTF-16.
    INVALID_UTF8 = "invalid-utf8", Error, "the file is not UTF-8 text";

    /// The file does not exist, may not be read, is larger than 512 MiB, or is a directory, a FIFO or a device. A file that
    /// cannot be read must never be taken for an empty one, because that could open or close the port.
    UNREADABLE_FILE = "unreadable-file", Error, "a file cannot be read";

    /// The files include each other in a circle. Take one of the includes away.
    INCLUDE_CYCLE = "include-cycle", Error, "files include each other in a circle";

    /// A key that the format does not know. It is refused and not ignored: a misspelt `except` would trust addresses that
    /// somebody meant to carve out. The nearest known key is named.
    UNKNOWN_KEY = "unknown-key", Error, "a key that the profile format does not know";

    /// The value has another type than its key takes, such as a text in place of a list.
    WRONG_TYPE = "wrong-type", Error, "a value of the wrong type";

    /// A key that must be there is not. A profile needs `schema` and `name`; an entry needs `name`.
    MISSING_KEY = "missing-key", Error, "a required key is missing";

    /// The value has the right type, but it is none of those that the key takes, or is out of its bounds.
    INVALID_VALUE = "invalid-value", Error, "a value that the key does not take";

    /// `schema` names the version of the profile format. This program knows version 1; a later version means that the
    /// profile was written for a later program.
    UNKNOWN_SCHEMA = "unknown-schema", Error, "a version of the profile format that is not known here";

    /// A name starts with a small letter, goes on with small letters, digits and hyphens, and has at most 32 characters:
    /// `[a-z][a-z0-9-]{0,31}`. The profile's name stands in the loaded rules, so nothing else may be in it.
    INVALID_NAME = "invalid-name", Error, "a name that is not [a-z][a-z0-9-]{0,31}";

    /// Two entries have the same name, whichever files and tables they stand in. Names are how `explain` and the logs of
    /// an apply tell entries apart.
    DUPLICATE_NAME = "duplicate-name", Error, "two entries of one name";

    /// The text holds a control character, a line break, or a mark that changes the direction of writing. Such text looks
    /// different from what it is, and could leave its place where it is printed.
    UNSAFE_TEXT = "unsafe-text", Error, "a control character or direction mark in a text";

    /// The text is longer than every firewall can carry. Free texts have at most 1,000 characters, interface names
    /// at most 15 (256 on Windows), paths at most 4,096.
    TEXT_TOO_LONG = "text-too-long", Error, "a text that is too long";

    /// The text is no IP address, no prefix such as `198.51.100.0/24` and no range such as `203.0.113.16-203.0.113.31`. An
    /// IPv4 address always has four octets: `10.1` means 10.0.0.1 to some programs and 10.1.0.0 to others.
    NOT_AN_ADDRESS = "not-an-address", Error, "no address, prefix or range";

    /// A host name stands where an address must. Names change what they mean, and a firewall asks only once. Write the
    /// address, or let a timer write a list file from the name.
    HOST_NAME = "host-name", Error, "a host name in place of an address";

    /// An octet such as `010` is 10 to some programs and 8 to nft, iptables and Windows.
    LEADING_ZERO = "leading-zero", Error, "an octet with a leading zero";

    /// A zone such as `%eth0` says by which interface an address is reached from this host. It is not in a packet. Use
    /// `via` to tie an entry to an interface.
    ZONE_ID = "zone-id", Error, "an address with a zone id";

    /// What follows the `/` is no prefix length of its family: 0 to 32 for IPv4, 0 to 128 for IPv6, in decimal, without
    /// leading zeros. A network mask such as `/255.255.255.0` is written as a length here.
    PREFIX_LENGTH = "prefix-length", Error, "no prefix length of the family";

    /// The address has bits set behind the prefix length. `10.0.0.1/8` could mean 10.0.0.1 or all of 10.0.0.0/8, which is
    /// sixteen million addresses more.
    HOST_BITS = "host-bits", Error, "an address with bits set behind its prefix length";

    /// The end of a range lies below its start.
    RANGE_BACKWARDS = "range-backwards", Error, "a range that runs backwards";

    /// No connection comes from a multicast address (`224.0.0.0/4`, `ff00::/8`).
    MULTICAST = "multicast", Error, "a multicast network";

    /// `::ffff:192.0.2.1` is how programs write an IPv4 connection on an IPv6 socket. On the wire it is IPv4, so a rule for
    /// it would never match. Write the IPv4 address.
    IPV4_MAPPED = "ipv4-mapped", Error, "an IPv4-mapped IPv6 network";

    /// A list that is there holds no network. An empty download must neither close the port to everybody nor lift a block,
    /// so it is refused. An entry that `except` or `expires` empties is no error.
    EMPTY_LIST = "empty-list", Error, "a list without a network";

    /// An entry says whom it is about by `networks`, `file`, or (if it trusts) `via`. It has none of them.
    EMPTY_ENTRY = "empty-entry", Error, "an entry that is about nobody";

    /// The profile trusts nobody and does not say that this is meant. Add a `[[trusted]]` entry, or write `closed = true`
    /// under `[service]`.
    NO_TRUSTED = "no-trusted", Error, "no trusted entry";

    /// At most 15 ports can be guarded by one profile: iptables matches no more in one rule.
    TOO_MANY_PORTS = "too-many-ports", Error, "more than 15 ports";

    /// With 143 in `ports`, plaintext IMAP is treated like the other guarded ports, so `plaintext_imap` has nothing left to
    /// say. Take one of the two away.
    PLAINTEXT_CONFLICT = "plaintext-conflict", Error, "port 143 is guarded and plaintext_imap is written";

    /// The name of an interface has 1 to 15 letters, digits and `.`, `_`, `-`, `:`, `@`; a `*` at its end stands for every
    /// name that starts so. Windows' names, with blanks, belong into `interfaces` under `[target.windows]`.
    INVALID_INTERFACE = "invalid-interface", Error, "no name of an interface";

    /// Loopback is always accepted and can be neither guarded nor asked for by `via`.
    LOOPBACK = "loopback", Error, "the loopback interface in interfaces or via";

    /// An entry is tied by `via` to an interface that `interfaces` does not guard. What comes in by it is not looked at at
    /// all, so the entry would decide nothing.
    VIA_NOT_COVERED = "via-not-covered", Error, "via names an interface that is not guarded";

    /// `burst` says how many new connections may come at once before `new_connections` counts. Without `new_connections` it
    /// means nothing.
    BURST_WITHOUT_RATE = "burst-without-rate", Error, "burst without new_connections";

    /// Where entries overlap, the largest of each limit holds, so every combination of limits can become a class of its own
    /// in the rules. At most 32 different limits keep their number in bounds.
    TOO_MANY_LIMITS = "too-many-limits", Error, "more than 32 different limits";

    /// Every interface that `via` names has its own rules. At most 256 different names can be told apart, and at most 256
    /// can be guarded by name; a `*` at the end of a name stands for many.
    TOO_MANY_INTERFACES = "too-many-interfaces", Error, "more than 256 interfaces";

    /// The firewall that `--target` names cannot do what the profile asks for. Leave it out of the profile, or name it under
    /// `degrade` in `[target.NAME]`: then the rules do without it, and their first lines say so.
    TARGET_CANNOT = "target-cannot", Error, "a firewall cannot do what the profile asks for";

    /// Two `[[trusted]]` entries have addresses in common. It does no harm, but when one of them is removed the addresses
    /// stay trusted, and where they have limits the larger one holds.
    OVERLAP = "overlap", Warning, "two trusted entries overlap";

    /// Every address of a `[[trusted]]` entry is also in another one. It may be left out, or the other one is wider than it
    /// was meant to be.
    CONTAINED = "contained", Warning, "a trusted entry that another one contains";

    /// The day that `expires` names is over. The entry no longer counts; take it away or give it a new date.
    EXPIRED = "expired", Warning, "an entry that is expired";

    /// The entry stops to count within 14 days.
    EXPIRES_SOON = "expires-soon", Warning, "an entry that expires within 14 days";

    /// There are trusted entries, but today they trust nobody: all are expired, or `except` and `blocked` take everything
    /// away. The port is closed.
    NOBODY_LEFT = "nobody-left", Warning, "nobody is trusted today";

    /// A trusted network is wider than /8 (IPv4) or /16 (IPv6). Hardly anybody owns so much.
    WIDE_NETWORK = "wide-network", Warning, "a trusted network wider than /8 or /16";

    /// `0.0.0.0/0` or `::/0` is trusted: whoever finds the port can connect to it.
    OPEN_TO_WORLD = "open-to-world", Warning, "everybody is trusted";

    /// A trusted network lies in space that is reserved for documentation (`192.0.2.0/24`, `198.51.100.0/24`,
    /// `203.0.113.0/24`, `2001:db8::/32`, `3fff::/20`). It was probably copied from an example.
    DOCUMENTATION_NETWORK = "documentation-network", Warning, "a trusted network from an example";

    /// A trusted network is link-local (`169.254.0.0/16`, `fe80::/10`). Every host on the same cable has such an address, and
    /// chooses it itself.
    LINK_LOCAL_NETWORK = "link-local-network", Warning, "a trusted link-local network";

    /// A trusted network lies in space from which no ordinary client connects: loopback, reserved, benchmarking or
    /// discard-only addresses. Private networks (RFC 1918, `fc00::/7`, `100.64.0.0/10`) are ordinary.
    RESERVED_NETWORK = "reserved-network", Warning, "a trusted network in reserved space";

    /// A network under `except` has no address in common with its entry. It may be misspelt, and the address that was to be
    /// refused is trusted.
    EXCEPT_NOTHING = "except-nothing", Warning, "an except that removes nothing";

    /// A `[[blocked]]` entry has no address in common with any trusted one. Those addresses are refused anyway.
    BLOCKED_NOTHING = "blocked-nothing", Warning, "a blocked entry that removes nothing";

    /// Nobody is trusted in one of the two address families. Clients that try it first wait until they try the other.
    FAMILY_MISSING = "family-missing", Warning, "one address family without any trusted entry";

    /// `closed = true` refuses everybody, so the `[[trusted]]` entries mean nothing while it is there.
    CLOSED_WITH_ENTRIES = "closed-with-entries", Warning, "closed, and yet there are trusted entries";

    /// IMAPS is guarded while plaintext IMAP on port 143 is left as it is, and nothing says that this is meant. Through it
    /// everybody reaches the same mailboxes. Write `plaintext_imap = "close"`, add 143 to `ports`, or write `"leave"`.
    PLAINTEXT_UNDECIDED = "plaintext-undecided", Warning, "port 143 is left open without a word";

    /// Port 22 is how administrators come in, and port 25 is how the world's mail does. Guarding either by a list of mail
    /// clients can lock somebody out.
    OTHER_SERVICE = "other-service", Warning, "port 22 or 25 is guarded";

    /// Outgoing connections start from ports 32768 and up. One that happens to start from a guarded port gets no answers.
    OUTGOING_PORT = "outgoing-port", Warning, "a guarded port from which outgoing connections start";

    /// A single IPv6 address with a random second half is most likely a privacy address (RFC 8981), which its host gives up
    /// within a day. Trust the /64 that it lies in.
    PRIVACY_ADDRESS = "privacy-address", Warning, "a single IPv6 address that will soon change";

    /// Mail programs open several connections at once: Thunderbird five an account, and several people may share one
    /// address. Below 15 at once ordinary clients are refused now and then.
    TIGHT_LIMIT = "tight-limit", Warning, "a limit that ordinary mail programs trip over";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// The page of all codes, from their definitions.
    fn page() -> String {
        let mut out = String::from(
            "# Problems\n\n\
             What `harden993 check` can say about a profile. With an error (exit code 2) the profile is not used. A warning\n\
             (exit code 0; 1 with `--strict`) is silenced by its code under `[check]`: `allow = [\"wide-network\"]`.\n\n\
             This page is made from the definitions in `src/diagnostic/catalogue.rs`; a test holds the two together.\n",
        );
        for (severity, title) in [(Severity::Error, "Errors"), (Severity::Warning, "Warnings")] {
            writeln!(out, "\n## {title}").unwrap();
            for code in CATALOGUE.iter().filter(|c| c.severity == severity) {
                writeln!(out, "\n### {}\n\n{}.\n", code.name, capital(code.summary)).unwrap();
                code.explanation.lines().for_each(|l| writeln!(out, "{}", l.trim()).unwrap());
            }
        }
        out
    }

    fn capital(text: &str) -> String {
        let mut chars = text.chars();
        chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
    }

    #[test]
    fn the_documentation_is_the_definition() {
        expect_test::expect_file!["../../docs/problems.md"].assert_eq(&page());
    }

    #[test]
    fn names_are_stable_words_and_unique() {
        for (i, code) in CATALOGUE.iter().enumerate() {
            assert!(
                code.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                code.name
            );
            assert_eq!(super::code(code.name), Some(*code));
            assert!(CATALOGUE[..i].iter().all(|c| c.severity <= code.severity), "errors come first");
        }
    }
}
