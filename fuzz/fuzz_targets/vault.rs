//! The fuzzer of [`jwtlet_fuzz::vault`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwtlet_fuzz::vault(data));
