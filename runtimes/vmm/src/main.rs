//! The program `isomark-vmm`; see the library for its contract.
//!
//! Entered by the C library directly: what Rust's own start-up prepares (descriptors, a guard page, an alternate
//! signal stack) costs system calls that an instance's start would pay for and never uses.

#![no_main]

mod sys {
    //! The C entry point.
    #![expect(unsafe_code, reason = "the C library finds main by its unmangled name")]

    use std::ffi::{c_char, c_int};

    use isomark_vmm::start;
    use isomark_vmm::sys::{arena::Arena, host};

    #[global_allocator]
    static ARENA: Arena = Arena::new();

    /// Called once by the C library.
    // SAFETY: `main` is the one symbol that the C library calls by this name and with these types.
    #[unsafe(no_mangle)]
    extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
        // SAFETY: the C library hands over the process's own argument vector, which lives for ever.
        let words = unsafe { host::arguments(argc, argv) };
        start::main(&words)
    }
}
