//! What a host can run out of, and what its user can do about that.
//!
//! A shortage says nothing of the runtime that met it: its trial is a failed row that `--resume` repeats. A payload that
//! meets a limit of its own box is another matter and never comes here.

use std::io;

use nix::errno::Errno;

/// What the host has no more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Memory.
    Memory,
    /// Processes and threads.
    Tasks,
    /// Open files.
    Descriptors,
    /// Room on a file system.
    Room,
    /// Room in one file: a limit on the size of files.
    Size,
    /// The right to write to a file system.
    Writing,
}

/// Each with the error numbers that mean it, and with what strerror(3) calls these, glibc's and musl's: tools and VMMs tell
/// words, and isomark's own VMM is linked with musl.
const KNOWN: [(Shortage, &[Errno], &[&str]); 6] = [
    (Shortage::Memory, &[Errno::ENOMEM], &["cannot allocate memory", "out of memory"]),
    // clone(2), pthread_create(3) and execve(2); nothing that isomark waits for is read without waiting for it.
    (Shortage::Tasks, &[Errno::EAGAIN], &["resource temporarily unavailable"]),
    (
        Shortage::Descriptors,
        &[Errno::EMFILE, Errno::ENFILE],
        &["too many open files", "no file descriptors available"],
    ),
    (Shortage::Room, &[Errno::ENOSPC, Errno::EDQUOT], &["no space left on device", "quota exceeded"]),
    (Shortage::Size, &[Errno::EFBIG], &["file too large"]),
    (Shortage::Writing, &[Errno::EROFS], &["read-only file system"]),
];

impl Shortage {
    /// The shortage that the kernel means by an error, if it means one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        let errno = Errno::from_raw(error.raw_os_error()?);
        KNOWN.iter().find(|(_, errnos, _)| errnos.contains(&errno)).map(|(shortage, ..)| *shortage)
    }

    /// The shortage that a text tells of, if it does.
    #[must_use]
    pub fn in_words(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let told = |words: &&[&str]| words.iter().any(|word| text.contains(word));
        KNOWN.iter().find(|(.., words)| told(words)).map(|(shortage, ..)| *shortage)
    }

    /// Whether a host can be set up to have none of it, so that an offer that needs it is not there: namespaces and cgroups
    /// are refused with the same numbers as a full disk.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Memory | Self::Tasks | Self::Descriptors)
    }

    /// What the host lacks, as "the host lacks …".
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Tasks => "processes and threads that may be started",
            Self::Descriptors => "open files that may be had",
            Self::Room => "room on a file system",
            Self::Size => "room in a file, whose size is limited",
            Self::Writing => "a file system that can be written to",
        }
    }

    /// What its user can do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Memory => {
                "end what else takes memory, or raise the limit of the group that isomark runs in (memory.max)"
            }
            Self::Tasks => {
                "end what else runs, or raise the limit on tasks (pids.max of the group that isomark runs in, ulimit -u)"
            }
            Self::Descriptors => "raise the limit on open files (ulimit -n, fs.file-max)",
            Self::Size => "raise the limit on the size of files (ulimit -f)",
            Self::Room => "make room where the message says, or name another place (--out, ISOMARK_STATE)",
            Self::Writing => {
                "make the file system writable again, or name another place (--out, ISOMARK_STATE)"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_the_words_for_them_mean_the_same() {
        for (shortage, errnos, words) in KNOWN {
            assert!(words.iter().all(|word| Shortage::in_words(word) == Some(shortage)), "{words:?}");
            for errno in errnos {
                let error = io::Error::from(*errno);
                assert_eq!(Shortage::of(&error), Some(shortage), "{errno}");
                assert_eq!(Shortage::in_words(&error.to_string()), Some(shortage), "{error}");
            }
        }
    }

    #[test]
    fn what_a_host_refuses_for_another_reason_is_no_shortage() {
        for errno in [Errno::EPERM, Errno::EACCES, Errno::ENOENT, Errno::EIO, Errno::EINTR, Errno::EBUSY] {
            let error = io::Error::from(errno);
            assert_eq!(
                (Shortage::of(&error), Shortage::in_words(&error.to_string())),
                (None, None),
                "{errno}"
            );
        }
        assert_eq!(Shortage::of(&io::Error::other("no number")), None);
    }

    #[test]
    fn a_vmm_linked_with_musl_tells_of_it_too() {
        for (said, shortage) in [
            ("KVM_CREATE_VM: No file descriptors available (os error 24)", Shortage::Descriptors),
            ("mmap of 18874368 bytes of guest memory: Out of memory (os error 12)", Shortage::Memory),
            ("write the snapshot: Quota exceeded (os error 122)", Shortage::Room),
        ] {
            assert_eq!(Shortage::in_words(said), Some(shortage), "{said}");
        }
    }

    #[test]
    fn tools_write_it_in_their_own_case() {
        let said = "runc: fork/exec /proc/self/exe: resource temporarily unavailable";
        assert_eq!(Shortage::in_words(said), Some(Shortage::Tasks));
        let said = "mkdir /var/lib/x: No space left on device";
        assert_eq!(Shortage::in_words(said), Some(Shortage::Room));
    }
}
