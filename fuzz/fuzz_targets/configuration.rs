//! The fuzzer of [`jwtlet_fuzz::configuration`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwtlet_fuzz::configuration(data));
