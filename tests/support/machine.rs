//! The host under test: profiles, a state directory, and firewall tools that can be made to fail.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lab::{require, run};

/// A firewall that rules are loaded into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backend {
    Nftables,
    IptablesNft,
    IptablesLegacy,
}

impl Backend {
    pub(crate) const ALL: [Self; 3] = [Self::Nftables, Self::IptablesNft, Self::IptablesLegacy];

    /// What a profile says to use it.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::Nftables => "",
            Self::IptablesNft => "[target.iptables]\nvariant = \"nft\"\n",
            Self::IptablesLegacy => "[target.iptables]\nvariant = \"legacy\"\n",
        }
    }

    /// The name of its target.
    pub(crate) fn target(self) -> &'static str {
        if self == Self::Nftables { "nftables" } else { "iptables" }
    }

    /// Everything that the kernel holds for it, without counters.
    pub(crate) fn rules(self) -> String {
        let save = |tool: &str| {
            let text = run(tool, &[], "");
            let kept =
                text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split(" [").next().unwrap_or(l).to_owned());
            kept.collect::<Vec<_>>().join("\n")
        };
        match self {
            Self::Nftables => blocks(&run("nft", &["-s", "list", "ruleset"], "")),
            Self::IptablesNft => save("iptables-nft-save") + "\n" + &save("ip6tables-nft-save"),
            Self::IptablesLegacy => save("iptables-legacy-save") + "\n" + &save("ip6tables-legacy-save"),
        }
    }
}

/// An nft listing with the sets and chains of each table in the order of their names: a small change appends what is new.
fn blocks(listing: &str) -> String {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for line in listing.lines() {
        match line {
            l if l.starts_with("table ") => tables.push((l.to_owned(), Vec::new())),
            "" | "}" => {}
            l if l.starts_with('\t') && !l.starts_with("\t\t") && l != "\t}" => {
                tables.last_mut().expect("a table").1.push(l.to_owned());
            }
            l => tables.last_mut().and_then(|t| t.1.last_mut()).expect("a block").extend(["\n", l]),
        }
    }
    tables.sort();
    let mut out = String::new();
    for (head, mut blocks) in tables {
        blocks.sort();
        out.extend([head.as_str(), "\n", &blocks.join("\n"), "\n"]);
    }
    out
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit code; none if it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A host with its own state directory and tools.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    pub(crate) backend: Backend,
}

impl Machine {
    pub(crate) fn new(backend: Backend) -> Self {
        for (tool, package) in
            [("nft", "nftables"), ("iptables-nft-save", "iptables"), ("iptables-legacy-save", "iptables")]
        {
            require(tool, package);
        }
        let folder = tempfile::tempdir().expect("a folder for the test");
        fs::create_dir(folder.path().join("bin")).expect("a folder for tools");
        Self { folder, backend }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A profile that trusts these networks.
    pub(crate) fn profile(&self, name: &str, networks: &[&str], service: &str) -> String {
        self.profile_with(name, networks, service, "")
    }

    /// A profile that trusts these networks, with more tables.
    pub(crate) fn profile_with(&self, name: &str, networks: &[&str], service: &str, tables: &str) -> String {
        let list = networks.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
        let text = format!(
            "schema = 1\nname = \"{name}\"\n[service]\nplaintext_imap = \"leave\"\n{service}\n[[trusted]]\nname = \"office\"\nnetworks = [{list}]\n{tables}{}",
            self.backend.settings()
        );
        let path = self.path(&format!("{name}.toml"));
        fs::write(&path, text).expect("the profile is written");
        path.display().to_string()
    }

    /// Runs harden993.
    pub(crate) fn harden993(&self, args: &[&str]) -> Done {
        self.with(args, &[])
    }

    /// Runs harden993 with variables of the environment.
    pub(crate) fn with(&self, args: &[&str], vars: &[(&str, &str)]) -> Done {
        let path =
            format!("{}:{}:/usr/sbin:/sbin", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new(env!("CARGO_BIN_EXE_harden993"))
            .args(args)
            .arg("--state-dir")
            .arg(self.path("state"))
            .env("PATH", path)
            .env_remove("SSH_CONNECTION")
            .envs(vars.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("harden993 starts");
        Done {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs harden993 for its one object, which must end with this code.
    pub(crate) fn json(&self, args: &[&str], code: i32) -> serde_json::Value {
        let done = self.harden993(&[args, &["--format", "json"]].concat());
        assert_eq!(done.code, Some(code), "{args:?}: {done:?}");
        serde_json::from_str(&done.out).expect("one object")
    }

    /// Applies a profile, which must succeed.
    pub(crate) fn apply(&self, profile: &str) -> Done {
        let done = self.harden993(&["apply", "--yes", "--target", self.backend.target(), "--profile", profile]);
        assert_eq!(done.code, Some(0), "{done:?}");
        done
    }

    /// Takes everything of ours away, for the next backend in the same namespace.
    pub(crate) fn clear(&self) {
        let done = self.harden993(&["remove", "--yes"]);
        assert_eq!(done.code, Some(0), "{done:?}");
    }

    /// The tools by which rules are loaded and listed.
    pub(crate) fn tools(&self) -> &'static [&'static str] {
        match self.backend {
            Backend::Nftables => &["nft"],
            Backend::IptablesNft => {
                &["iptables-nft-restore", "ip6tables-nft-restore", "iptables-nft-save", "ip6tables-nft-save"]
            }
            Backend::IptablesLegacy => &[
                "iptables-legacy-restore",
                "ip6tables-legacy-restore",
                "iptables-legacy-save",
                "ip6tables-legacy-save",
            ],
        }
    }

    /// Puts a script before every tool. It can use `$real` (the tool), `$n` (how many were run before) and `"$@"`.
    pub(crate) fn wrap(&self, script: &str) {
        for tool in self.tools() {
            self.wrap_one(tool, script);
        }
        fs::write(self.path("count"), "0").expect("the counter is written");
    }

    /// Puts a script before one tool.
    pub(crate) fn wrap_one(&self, tool: &str, script: &str) {
        let real =
            ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().map(|f| Path::new(f).join(tool)).find(|p| p.exists());
        let real = real.expect("the tool is installed");
        let count = self.path("count");
        let text = format!(
            "#!/bin/sh\nreal={}\nn=$(cat {count})\necho $((n + 1)) >{count}\n{script}\n",
            real.display(),
            count = count.display()
        );
        let path = self.path("bin").join(tool);
        fs::write(&path, text).expect("the script is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the script may be run");
    }

    /// Takes the scripts away.
    pub(crate) fn unwrap_tools(&self) {
        for entry in fs::read_dir(self.path("bin")).expect("the folder is there") {
            fs::remove_file(entry.expect("an entry").path()).expect("a script is removed");
        }
    }

    /// How many tools were run since they were wrapped.
    pub(crate) fn count(&self) -> usize {
        fs::read_to_string(self.path("count")).expect("the counter is there").trim().parse().expect("a number")
    }
}
