//! The fuzzer of [`jwtlet_fuzz::kubernetes`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwtlet_fuzz::kubernetes(data));
