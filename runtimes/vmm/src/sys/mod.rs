//! The only place where this crate talks to the kernel past Rust's types.
//!
//! One operation per function, each with the reason why it is sound; nothing here decides anything.

#![expect(unsafe_code, reason = "memory shared with a guest and half of KVM have no safe form")]

pub mod arena;
pub mod host;
pub mod kvm;
pub mod ram;
