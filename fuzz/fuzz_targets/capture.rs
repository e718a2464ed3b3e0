//! A file of which nothing is known: a capture with its sections, or one listing, recognised by content.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| harden993_fuzz::capture(data));
