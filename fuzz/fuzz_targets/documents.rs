//! The fuzzer of [`jwtlet_fuzz::documents`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwtlet_fuzz::documents(data));
