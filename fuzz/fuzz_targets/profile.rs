//! A profile and its list file, and what every target makes of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| harden993_fuzz::profile(data));
