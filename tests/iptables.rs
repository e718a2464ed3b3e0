//! The loader and both variants of iptables: what is loaded does what the policy says, twice is once, and the rules of
//! others stay. Everything happens in network namespaces that the test makes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use harden993::access::{Access, Bucket, Pattern, Per, Rate, Refuse};
use harden993::net::AddrSet;
use harden993::policy::{Draft, Forwarded, Grant, Limit, Policy, TargetSettings};
use harden993::ruleset::Evaluator;
use harden993::target::{self, HEADING, Job, Listing, Target, Wanted};

fn iptables() -> &'static dyn Target {
    target::by_name("iptables").unwrap()
}

fn networks(list: &[&str]) -> AddrSet {
    list.iter().map(|t| t.parse::<AddrSet>().unwrap()).fold(AddrSet::new(), |a, b| a.union(&b))
}

fn grant(list: &[&str], limit: Option<Limit>) -> Grant {
    Grant { sources: networks(list), via: vec![], limit }
}

/// Everything at once.
fn everything() -> Draft {
    let bucket = |count, per, burst| Some(Bucket { rate: Rate::new(count, per), burst });
    Draft {
        ports: vec![993, 995],
        close_plaintext: true,
        forwarded: Forwarded::Routed(networks(&["192.0.2.0/28", "2001:db8:99::/64"])),
        interfaces: ["eth0", "wg*"].map(Pattern::parse).to_vec(),
        action: Refuse::Reset,
        ipv4_prefix: 28,
        grants: vec![
            Grant { via: vec![Pattern::parse("wg0")], ..grant(&["0.0.0.0/0", "::/0"], None) },
            grant(
                &["198.51.100.0/24", "2001:db8::/32"],
                Some(Limit { rate: bucket(60, Per::Minute, 30), concurrent: Some(100) }),
            ),
            grant(&["203.0.113.0/25"], Some(Limit { rate: bucket(10, Per::Minute, 5), concurrent: None })),
            grant(&["203.0.113.7", "2001:db8:7::1"], Some(Limit { rate: None, concurrent: Some(3) })),
        ],
        blocked: networks(&["198.51.100.128/25", "2001:db8:bad::/48"]),
        ..Draft::default()
    }
}

/// A list that is a tree in both families, and one that nests so deeply that the tree is cut by weight.
fn lists() -> Draft {
    let each = if is_root() { 40 } else { 3 };
    let mut list: Vec<String> =
        (0..if is_root() { 600 } else { 200 }).map(|i| format!("10.{}.{}.0/25", i / 250, i % 250)).collect();
    list.extend((0..if is_root() { 600 } else { 200 }).map(|i| format!("2001:db8:{i:x}::/49")));
    let nested = (20..120u32).flat_map(|len| {
        let side = 0x2001_0db9_u128 << 96 | 1 << (127 - len);
        (0..each).map(move |n: u128| format!("{}/128", std::net::Ipv6Addr::from(side | (n << 1))))
    });
    list.extend(nested);
    Draft { grants: vec![grant(&list.iter().map(String::as_str).collect::<Vec<_>>(), None)], ..Draft::default() }
}

fn office() -> Draft {
    Draft { grants: vec![grant(&["198.51.100.0/24", "2001:db8:10::/48"], None)], ..Draft::default() }
}

struct Rendering {
    policy: Policy,
    settings: TargetSettings,
    loader: String,
}

impl Rendering {
    fn new(draft: Draft) -> Self {
        let (policy, settings) = (draft.lower(), TargetSettings::default());
        let mut out = Self { policy, settings, loader: String::new() };
        let files = target::render(iptables(), &out.job()).unwrap();
        out.loader.clone_from(&files[0].content);
        out
    }

    fn job(&self) -> Job<'_> {
        Job {
            policy: &self.policy,
            digest: self.policy.digest(),
            name: "office-mail",
            settings: &self.settings,
            deviations: &[],
            family: None,
        }
    }

    /// Whether a listing answers every question as the policy does.
    fn holds(&self, listing: &str) {
        let ruleset = iptables().read(&Listing::parse(listing)).unwrap();
        assert_eq!(ruleset.digest, Some(self.policy.digest().to_string()));
        let mut evaluator = Evaluator::new(&ruleset);
        for question in self.policy.questions() {
            let (expected, found): (Access, Access) = (self.policy.answer(&question), evaluator.ask(&question));
            assert_eq!(expected.differences(&found), [], "{question}\n{listing}");
        }
    }
}

/// Whether the namespace can be one of the network alone. In a user's own namespace a netlink message is bounded by the
/// socket's ordinary buffer, and the nft variant loads only about a thousand rules at once.
fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// Runs a script in namespaces of its own, with the loaders as files `a`, `b`, …
fn run(script: &str, loaders: &[&str]) -> Option<String> {
    let tools = ["unshare", "iptables-nft-restore", "iptables-legacy-restore", "dash"];
    let found =
        |tool: &&str| Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap().status.success();
    if !tools.iter().all(found) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, loader) in ('a'..).zip(loaders) {
        std::fs::write(folder.path().join(name.to_string()), loader).unwrap();
    }
    let mut child = Command::new("unshare")
        .args([if is_root() { "-n" } else { "-rn" }, "sh", "-eu", "-c", script])
        .current_dir(folder.path())
        .env("XTABLES_LOCKFILE", folder.path().join("lock"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut out = String::new();
    std::io::Read::read_to_string(child.stdout.as_mut().unwrap(), &mut out).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}\n{out}");
    Some(out)
}

/// What stands before every script: the variant, and how the tables are shown without what changes by itself.
fn prelude(variant: &str) -> String {
    format!(
        "export IPTABLES=iptables-{variant} IP6TABLES=ip6tables-{variant}
         show() {{ for t in iptables ip6tables; do echo '{HEADING}'$t-{variant}-save; \
         $t-{variant}-save | sed 's/^\\(:.*\\) \\[.*/\\1 [0:0]/; /^# [GC]/d'; done; }}
         foreign() {{ for t in iptables-{variant} ip6tables-{variant}; do
             $t -N OTHERS; $t -A OTHERS -p tcp --dport 25 -j ACCEPT
             $t -A INPUT -m state --state ESTABLISHED -j ACCEPT; $t -A INPUT -j OTHERS; $t -A FORWARD -j OTHERS
             $t -t mangle -A PREROUTING -p tcp --dport 80 -j MARK --set-mark 1; done; }}
         cut() {{ echo CUT; }}\n"
    )
}

#[test]
fn what_is_loaded_does_what_the_policy_says_and_twice_is_once() {
    for draft in [office(), everything(), lists()] {
        let rendering = Rendering::new(draft);
        for variant in ["nft", "legacy"] {
            let script = prelude(variant) + "dash a; show; cut; dash a; show; cut; sh a remove; show";
            let Some(out) = run(&script, &[&rendering.loader]) else { return };
            let parts: Vec<&str> = out.split("CUT\n").collect();
            rendering.holds(parts[0]);
            assert_eq!(parts[0], parts[1], "{variant}: twice is once");
            assert!(!parts[2].contains("H993"), "{variant}: {}", parts[2]);
            // What is printed back is what was written, byte for byte.
            for line in rendering.loader.lines().filter(|l| l.starts_with("-A H993-")) {
                assert!(parts[0].contains(&format!("{line}\n")), "{variant}: {line}");
            }
            // The same text from both, and nothing to load.
            let read = |text: &str| iptables().read(&Listing::parse(text)).unwrap();
            let (live, ours) = (read(parts[0]), iptables().read(&Listing::of_text(rendering.loader.as_str())).unwrap());
            assert_eq!(iptables().print(&live), iptables().print(&ours));
            let files = [target::File { name: "a".to_owned(), content: rendering.loader.clone() }];
            let job = rendering.job();
            let loading =
                iptables().loading(&Listing::parse(parts[0]), Wanted::Rendering(&job, &files), &rendering.settings);
            assert_eq!(loading.unwrap().load, []);
        }
    }
}

#[test]
fn the_rules_of_others_stay_and_the_jump_is_the_first_rule() {
    let (one, two) = (Rendering::new(everything()), Rendering::new(lists()));
    for variant in ["nft", "legacy"] {
        let docker = "for t in $IPTABLES $IP6TABLES; do $t -N DOCKER-USER; $t -I FORWARD -j DOCKER-USER; done;";
        let script = prelude(variant)
            + "foreign;"
            + docker
            + "show; cut; sh a; $IPTABLES -I INPUT -j OTHERS; $IPTABLES -A INPUT -p tcp -j H993-IN;
               show; cut; sh a; show; cut; sh b; show; cut; sh b remove; show";
        let Some(out) = run(&script, &[&one.loader, &two.loader]) else { return };
        let parts: Vec<&str> = out.split("CUT\n").collect();
        let others = |text: &str| {
            text.lines()
                .filter(|l| !l.contains("H993-") && *l != "-A INPUT -j OTHERS")
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for part in &parts[1..] {
            assert_eq!(others(parts[0]), others(part), "{variant}");
        }
        let first = |part: &str, chain: &str| {
            let start = format!("-A {chain} ");
            part.lines().filter(|l| l.starts_with(&start)).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(first(parts[2], "INPUT")[0], "-A INPUT -p tcp -j H993-IN");
        assert_eq!(parts[2].matches("-p tcp -j H993-IN\n").count(), 2, "one a family");
        assert_eq!(first(parts[2], "DOCKER-USER")[0], "-A DOCKER-USER -p tcp -j H993-FWD");
        // The second profile forwards nothing, so the jump and the chains of the first are gone.
        assert!(!parts[3].contains("H993-FWD") && !parts[3].contains("H993-CLOSED"));
        assert!(!parts[4].contains("H993"));
    }
}

#[test]
fn if_one_family_fails_the_other_is_put_back() {
    let (one, two) = (Rendering::new(office()), Rendering::new(everything()));
    let broken = two.loader.replacen("-A H993-GUARD -g H993-TRUSTED\n", "-A H993-GUARD -g H993-NOWHERE\n", 2);
    // Only the second document is broken.
    let broken = broken.replacen("-g H993-NOWHERE", "-g H993-TRUSTED", 1);
    for variant in ["nft", "legacy"] {
        let script = prelude(variant) + "sh a; show; cut; sh b 2>/dev/null && exit 1; echo $?; cut; show";
        let Some(out) = run(&script, &[&one.loader, &broken]) else { return };
        let parts: Vec<&str> = out.split("CUT\n").collect();
        assert_eq!(parts[1], "4\n", "{variant}");
        assert_eq!(parts[0], parts[2], "{variant}");
        let script = prelude(variant) + "sh b 2>/dev/null && exit 1; echo $?; cut; show";
        let Some(out) = run(&script, &[&one.loader, &broken]) else { return };
        assert!(out.starts_with("4\n") && !out.contains("H993"), "{variant}: {out}");
    }
}

/// The steps of a loading as a script.
fn shell(loading: &target::Loading) -> String {
    let steps = loading.load.iter();
    steps.fold(String::new(), |all, s| format!("{all}{} {} <<'END'\n{}END\n", s.program, s.args.join(" "), s.input))
}

#[test]
fn a_loading_step_makes_what_the_loader_makes() {
    let (one, two) = (Rendering::new(office()), Rendering::new(everything()));
    for variant in ["nft", "legacy"] {
        let Some(out) = run(&(prelude(variant) + "foreign; sh a; show; cut; sh b; show"), &[&one.loader, &two.loader])
        else {
            return;
        };
        let parts: Vec<&str> = out.split("CUT\n").collect();
        let live = Listing::parse(parts[0]);
        let files = [target::File { name: "b".to_owned(), content: two.loader.clone() }];
        let job = two.job();
        let loading = iptables().loading(&live, Wanted::Rendering(&job, &files), &two.settings).unwrap();
        let mut script = prelude(variant) + "foreign; sh a;";
        script += &shell(&loading);
        script += "show; cut;";
        // And back to what was there.
        let snapshot = iptables().snapshot(&live).unwrap().unwrap();
        let print = |listing: &Listing| iptables().print(&iptables().read(listing).unwrap());
        assert_eq!(print(&Listing::parse(&snapshot)), print(&live));
        let later = Listing::parse(&parts[1].replace("-A INPUT -p tcp -j H993-IN\n", ""));
        let kept = iptables().snapshot(&later).unwrap().unwrap();
        assert_eq!(print(&Listing::parse(&kept)), print(&later));
        let back = iptables().loading(&Listing::parse(parts[1]), Wanted::Snapshot(&snapshot), &two.settings).unwrap();
        script += &shell(&back);
        script += "show";
        let made = run(&script, &[&one.loader, &two.loader]).unwrap();
        let made: Vec<&str> = made.split("CUT\n").collect();
        assert_eq!(made[0], parts[1], "{variant}");
        assert_eq!(made[1], parts[0], "{variant}");
    }
}

#[test]
fn the_loader_is_clean_to_shellcheck() {
    let loader = Rendering::new(everything()).loader;
    let Ok(mut child) =
        Command::new("shellcheck").args(["-s", "sh", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    else {
        return;
    };
    child.stdin.take().unwrap().write_all(loader.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}
