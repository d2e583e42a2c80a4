//! `thresholds` for cargo-fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isomark_fuzz::text::thresholds(data));
