//! `iptables-save`, `ip6tables-save` and `ipset save` of one host, one after the other in one text.
#![no_main]

use harden993::target::Platform;

libfuzzer_sys::fuzz_target!(|data: &[u8]| harden993_fuzz::listing(Platform::Linux, "", data));
