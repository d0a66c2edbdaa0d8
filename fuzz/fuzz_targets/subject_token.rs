//! The fuzzer of [`jwtlet_fuzz::subject_token`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwtlet_fuzz::subject_token(data));
