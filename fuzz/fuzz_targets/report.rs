//! `report` for cargo-fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isomark_fuzz::told::report(data));
