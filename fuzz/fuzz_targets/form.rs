//! The fuzzer of [`jwtlet_fuzz::form`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwtlet_fuzz::form(data));
