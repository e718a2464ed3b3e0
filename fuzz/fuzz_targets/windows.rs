//! The JSON that the capture script prints on Windows.
#![no_main]

use harden993::target::Platform;

libfuzzer_sys::fuzz_target!(|data: &[u8]| harden993_fuzz::listing(Platform::Windows, "", data));
