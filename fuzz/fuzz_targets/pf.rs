//! `pfctl -sr` with its anchors and tables.
#![no_main]

use harden993::target::Platform;

libfuzzer_sys::fuzz_target!(|data: &[u8]| harden993_fuzz::listing(Platform::Bsd, "pfctl -sr", data));
