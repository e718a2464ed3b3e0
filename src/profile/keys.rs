//! The keys of every table of the format. The JSON Schema is held to these lists by a test, and so is the reader.

/// The file itself.
pub(super) const ROOT: &[&str] = &[
    "schema",
    "name",
    "description",
    "include",
    "service",
    "untrusted",
    "limits",
    "trusted",
    "blocked",
    "check",
    "target",
];
/// `[service]`.
pub(super) const SERVICE: &[&str] = &["ports", "interfaces", "plaintext_imap", "forwarded", "closed"];
/// `[untrusted]`.
pub(super) const UNTRUSTED: &[&str] = &["action", "log"];
/// `untrusted.log`.
pub(super) const LOG: &[&str] = &["rate", "burst"];
/// `[limits]`.
pub(super) const LIMITS: &[&str] = &["new_connections", "burst", "concurrent", "ipv6_prefix", "ipv4_prefix"];
/// `limits` of an entry.
pub(super) const ENTRY_LIMITS: &[&str] = &["new_connections", "burst", "concurrent"];
/// `[[trusted]]`.
pub(super) const TRUSTED: &[&str] = &["name", "networks", "except", "file", "via", "expires", "limits", "comment"];
/// `[[blocked]]`.
pub(super) const BLOCKED: &[&str] = &["name", "networks", "file", "expires", "comment"];
/// `[check]`.
pub(super) const CHECK: &[&str] = &["allow"];
/// What every `[target.NAME]` knows beside the target's own keys.
pub(super) const TARGET: &[&str] = &["degrade", "interfaces"];

/// Every table with how it is written, for keys that stand in the wrong one.
pub(super) const TABLES: &[(&str, &[&str])] = &[
    ("at the top of the file", ROOT),
    ("under `[service]`", SERVICE),
    ("under `[untrusted]`", UNTRUSTED),
    ("under `[limits]`", LIMITS),
    ("in a `[[trusted]]` entry", TRUSTED),
    ("in a `[[blocked]]` entry", BLOCKED),
    ("under `[check]`", CHECK),
    ("under `[target.NAME]`", TARGET),
];
