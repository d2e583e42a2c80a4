//! The payload program: a C `main`, so that nothing runs between the kernel's `execve` and the ready line but
//! the C library's own start.
//!
//! Rust's runtime would first poll the descriptors, install handlers and a signal stack: system calls that a
//! start-up measurement would then contain and that a tiny guest kernel would have to know.

#![no_main]

#[expect(unsafe_code, reason = "the C runtime finds main by its unmangled name")]
mod sys {
    use std::ffi::{c_char, c_int};

    /// What the C library calls once the process is set up.
    // SAFETY: nothing else in the program exports this name; the signature is the one C prescribes.
    #[unsafe(no_mangle)]
    extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
        isomark_payload::program::run()
    }
}
