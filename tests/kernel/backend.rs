//! The firewalls of the kernel: what renders for each, and the programs that load it.

use harden993::access::{Access, Question};
use harden993::policy::{Feature, Policy, TargetSettings};
use harden993::target::{self, Target, adapt};

use crate::lab::{privileged, require, run};

/// A firewall of the kernel: a target and the programs that load what it renders.
#[derive(Clone, Copy)]
pub(crate) struct Backend {
    pub(crate) target: &'static str,
    /// The programs for `IPTABLES` and `IP6TABLES`.
    programs: Option<(&'static str, &'static str)>,
}

pub(crate) const NFT: Backend = Backend { target: "nftables", programs: None };
pub(crate) const IPTABLES_NFT: Backend =
    Backend { target: "iptables", programs: Some(("iptables-nft", "ip6tables-nft")) };
pub(crate) const IPTABLES_LEGACY: Backend =
    Backend { target: "iptables", programs: Some(("iptables-legacy", "ip6tables-legacy")) };

impl Backend {
    /// The target.
    pub(crate) fn target(self) -> &'static dyn Target {
        target::by_name(self.target).expect("the target is there")
    }

    /// The rendering of a policy, proved; the policy that it enforces (rates that the target cannot say are left out).
    pub(crate) fn render(self, policy: &Policy) -> (Policy, String) {
        let target = self.target();
        let settings = TargetSettings { degrade: Feature::ALL.into(), ..TargetSettings::default() };
        let adapted = adapt(target, policy, &Feature::ALL.into(), &settings).expect("the kernel's targets can do all");
        let job = adapted.job(policy.digest(), "generated", &settings);
        let files = target::render(target, &job).expect("it can be rendered");
        assert_eq!(files.len(), 1);
        let text = files.into_iter().next().expect("one file").content;
        (adapted.policy, text)
    }

    /// What the target says that it answers.
    pub(crate) fn expected(self, policy: &Policy, question: &Question) -> Access {
        self.target().expected(policy, &TargetSettings::default(), question)
    }

    /// Loads a rendering on the host, as its head comment says.
    pub(crate) fn load(self, text: &str) {
        let Some((iptables, ip6tables)) = self.programs else {
            run("nft", &["-f", "-"], text);
            return;
        };
        require(iptables, "iptables");
        run("env", &[&format!("IPTABLES={iptables}"), &format!("IP6TABLES={ip6tables}"), "sh", "-s"], text);
    }

    /// Whether an ordinary user can load a rendering: in a user namespace netlink takes batches of some 200 kB only.
    pub(crate) fn fits(self, text: &str) -> bool {
        let most = match self.programs {
            None => 150_000,
            Some(("iptables-nft", _)) => 25_000,
            Some(_) => usize::MAX,
        };
        text.len() < most || privileged()
    }

    /// Loads a rendering in which every rule that logs also counts. (iptables counts every rule anyhow.)
    pub(crate) fn load_counting(self, text: &str) {
        self.load(&text.replace(" log prefix ", " counter log prefix "));
    }

    /// The loaded rules with their counters.
    pub(crate) fn counters(self) -> String {
        match self.programs {
            None => run("nft", &["list", "table", "inet", "harden993"], ""),
            Some((iptables, ip6tables)) => {
                [iptables, ip6tables].map(|p| run(&format!("{p}-save"), &["--counters", "-t", "filter"], "")).concat()
            }
        }
    }

    /// The programs that list and load whole iptables rulesets; with nftables, those of the variant that uses it.
    pub(crate) fn iptables(self) -> [&'static str; 2] {
        let (iptables, ip6tables) = self.programs.unwrap_or(("iptables-nft", "ip6tables-nft"));
        [iptables, ip6tables]
    }

    /// Takes every rule of this firewall away, and with them the state of limits.
    pub(crate) fn clear(self) {
        run("nft", &["flush", "ruleset"], "");
        if let Some((iptables, ip6tables)) = self.programs {
            for program in [iptables, ip6tables] {
                run(
                    &format!("{program}-restore"),
                    &[],
                    "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n",
                );
            }
        }
    }
}
