//! A listing that the kernel tears, because it makes a hash set larger meanwhile, is taken anew and never believed.

use crate::lab::{inside, run};
use crate::machine::{Backend, Machine};

/// So many networks that each length is a hash set, and apart from each other.
fn long_list() -> Vec<String> {
    (0..1200).map(|n| format!("10.0.{}.{}", n / 128, n % 128 * 2)).collect()
}

/// While the file `lie` is there a listing has one element twice, and misses another; it goes away with the first lie.
fn tear(machine: &Machine, when: &str, then: &str) {
    let lie = machine.path("lie").display().to_string();
    machine.wrap(&format!(
        "case \"$*\" in *list*) ;; *) {when} exec $real \"$@\" ;; esac\n\
         [ -e {lie} ] || exec $real \"$@\"\n\
         $real \"$@\" >{lie}.out || exit 1\n\
         grep -q '10[.]0[.]3[.]2[, ]' {lie}.out && {then}\n\
         sed 's/10[.]0[.]3[.]2\\([, ]\\)/10.0.3.8\\1/' {lie}.out"
    ));
}

#[test]
fn a_torn_listing_is_taken_anew() {
    inside("torn::a_torn_listing_is_taken_anew", || {
        let machine = Machine::new(Backend::Nftables);
        let list = long_list();
        let mut list: Vec<&str> = list.iter().map(String::as_str).collect();
        let one = machine.profile("one", &list, "");
        machine.apply(&one);
        let rules = Backend::Nftables.rules();
        assert!(rules.contains("10.0.3.2") && rules.contains("10.0.3.8"), "{rules}");
        let lie = machine.path("lie");
        let remove = format!("rm {}", lie.display());
        tear(&machine, "", &remove);
        let looks: [&[&str]; 5] = [
            &["diff", "--profile", &one],
            &["verify", "--profile", &one],
            &["status"],
            &["restore"],
            &["apply", "--yes", "--profile", &one],
        ];
        for args in looks {
            // Else the timer lists nothing at all.
            run("nft", &["add", "table", "inet", "somebody"], "");
            run("nft", &["delete", "table", "inet", "somebody"], "");
            std::fs::write(machine.path("count"), "0").expect("the counter is written");
            let done = machine.harden993(args);
            assert_eq!(done.code, Some(0), "{args:?}: {done:?}");
            let steps = machine.count();
            run("nft", &["add", "table", "inet", "somebody"], "");
            run("nft", &["delete", "table", "inet", "somebody"], "");
            std::fs::write(machine.path("count"), "0").expect("the counter is written");
            std::fs::write(&lie, "").expect("the file is written");
            let torn = machine.harden993(args);
            assert!(!lie.exists(), "{args:?} listed nothing");
            assert_eq!((torn.code, &torn.out), (Some(0), &done.out), "{args:?}: {torn:?}");
            assert_eq!(machine.count(), steps + 1, "{args:?}: one listing more, and none where nothing is torn");
            assert_eq!(Backend::Nftables.rules(), rules, "{args:?}");
        }

        // A small change, a large one and a first load, each read back while the listing is torn.
        tear(&machine, &format!("case \"$*\" in *-c*) ;; *) touch {} ;; esac;", lie.display()), &remove);
        let last = list.pop().expect("a network");
        let two = machine.profile("two", &list, "");
        list.push(last);
        let three = machine.profile_with("three", &list, "", "[untrusted]\naction = \"reject\"\n");
        for profile in [&two, &three, &one] {
            let done = machine.harden993(&["apply", "--yes", "--profile", profile]);
            assert_eq!(done.code, Some(0), "{profile}: {done:?}");
        }
        machine.clear();
        let _ = std::fs::remove_file(&lie);
        assert_eq!(machine.harden993(&["apply", "--yes", "--profile", &one]).code, Some(0));
        assert!(!lie.exists(), "nothing was read back");

        // Where every listing is torn nothing is believed, and nothing is done.
        let rules = Backend::Nftables.rules();
        tear(&machine, "", "true");
        std::fs::write(&lie, "").expect("the file is written");
        for args in [&["diff", "--profile", &two][..], &["apply", "--yes", "--profile", &two]] {
            let done = machine.harden993(args);
            assert_eq!(done.code, Some(3), "{args:?}: {done:?}");
            assert!(done.err.contains("faster than they can be read"), "{args:?}: {done:?}");
        }
        assert_eq!(Backend::Nftables.rules(), rules);
    });
}
