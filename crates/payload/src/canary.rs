//! What canaries are called: planter, seeker and whoever clears up agree on the names here.

/// What every name begins with, so that what is left over can be told from what is not ours.
pub const PREFIX: &str = "isomark-canary-";

/// The name of a process: 15 bytes at most (`TASK_COMM_LEN`).
#[must_use]
pub fn process(token: u64) -> String {
    format!("canary{:09x}", token & 0xf_ffff_ffff)
}

/// The name of an abstract Unix socket.
#[must_use]
pub fn socket(token: u64) -> String {
    format!("{PREFIX}{token:016x}")
}

/// The name of a POSIX message queue.
#[must_use]
pub fn queue(token: u64) -> String {
    format!("/{PREFIX}{token:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_the_kernel_takes_them() {
        assert_eq!(process(u64::MAX).len(), 15);
        assert_eq!(queue(7), "/isomark-canary-0000000000000007");
        assert_ne!(socket(1), socket(2));
    }
}
