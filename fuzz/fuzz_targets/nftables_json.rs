//! `nft -j list ruleset`, whoever wrote the rules.
#![no_main]

use harden993::target::Platform;

libfuzzer_sys::fuzz_target!(|data: &[u8]| harden993_fuzz::listing(Platform::Linux, "nft -j list ruleset", data));
