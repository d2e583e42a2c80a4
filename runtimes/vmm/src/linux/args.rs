//! The command line of `isomark-vmm linux`, written by a harness: every flag takes one value as its own word.

use crate::args::{fd, number, page, refuse, shown};
use crate::error::Error;
use crate::layout::BLOCK;
use crate::mask::Mask;

/// What to boot, and how.
#[derive(Debug)]
pub struct Args<'a> {
    /// Descriptor of the kernel.
    pub kernel_fd: i32,
    /// Descriptor of the initramfs.
    pub initrd_fd: i32,
    /// What the initramfs must add up to.
    pub initrd_sum: u64,
    /// Bytes of guest memory.
    pub memory: u64,
    /// Huge pages for guest memory.
    pub huge: bool,
    /// What is hidden of the host's CPU.
    pub mask: Mask,
    /// The kernel's command line.
    pub command_line: &'a [u8],
    /// Where to tell the story.
    pub status_fd: Option<i32>,
    /// An open /dev/kvm.
    pub kvm_fd: Option<i32>,
}

/// Least memory, in bytes: no stock kernel of this decade starts in less.
pub const MEMORY_MIN: u64 = 64 << 20;
/// Longest command line, in bytes (COMMAND_LINE_SIZE less the final zero).
pub const COMMAND_LINE_MAX: usize = 2047;

impl<'a> Args<'a> {
    /// Reads the words after `linux`.
    ///
    /// # Errors
    /// The flag or value that is wrong.
    pub fn parse(words: &[&'a [u8]]) -> Result<Self, Error> {
        let (mut kernel, mut initrd, mut sum, mut memory, mut line) = (None, None, None, None, None);
        let (mut huge, mut status_fd, mut kvm_fd, mut mask) = (true, None, None, Mask::default());
        let (pairs, odd) = words.as_chunks::<2>();
        if let [flag] = odd {
            return refuse(format!("{:?} is unknown or lacks its value", shown(flag)));
        }
        for &[flag, value] in pairs {
            let name = shown(flag);
            match name.as_str() {
                "--kernel-fd" => kernel = Some(fd(&name, value)?),
                "--initrd-fd" => initrd = Some(fd(&name, value)?),
                "--initrd-sum" => sum = Some(number(&name, value)?),
                "--memory" => memory = Some(number(&name, value)?),
                "--command-line" => line = Some(value),
                "--mask" => mask = Mask::parse(value)?,
                "--page" => huge = page(value)?,
                "--status-fd" => status_fd = Some(fd(&name, value)?),
                "--kvm-fd" => kvm_fd = Some(fd(&name, value)?),
                _ => return refuse(format!("{name:?} is unknown")),
            }
        }
        let missing = |flag: &str| Error::Internal(format!("{flag} is missing"));
        let memory = memory.ok_or_else(|| missing("--memory"))?;
        if !(MEMORY_MIN..=crate::layout::MEMORY_MAX).contains(&memory) {
            return refuse(format!("--memory {memory} is less than {MEMORY_MIN} bytes, or too much"));
        }
        let command_line = line.ok_or_else(|| missing("--command-line"))?;
        if command_line.len() > COMMAND_LINE_MAX {
            return refuse(format!("--command-line is longer than {COMMAND_LINE_MAX} bytes"));
        }
        Ok(Self {
            kernel_fd: kernel.ok_or_else(|| missing("--kernel-fd"))?,
            initrd_fd: initrd.ok_or_else(|| missing("--initrd-fd"))?,
            initrd_sum: sum.ok_or_else(|| missing("--initrd-sum"))?,
            memory: memory / BLOCK * BLOCK,
            huge,
            mask,
            command_line,
            status_fd,
            kvm_fd,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str =
        "--kernel-fd 3 --initrd-fd 4 --initrd-sum 7 --memory 134217729 --command-line quiet --page 4k";

    fn parse(line: &str) -> Result<Args<'_>, Error> {
        Args::parse(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn a_full_line_is_understood() {
        let args = parse(WHOLE).unwrap();
        assert_eq!((args.kernel_fd, args.initrd_fd, args.initrd_sum), (3, 4, 7));
        assert_eq!((args.memory, args.huge, args.command_line), (128 << 20, false, b"quiet".as_slice()));
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        let refused = |line: &str, with: &str| {
            let error = parse(line).expect_err("must be refused").to_string();
            assert!(error.contains(with), "{line:?} gave {error:?}");
        };
        for flag in ["--kernel-fd", "--initrd-fd", "--initrd-sum", "--memory", "--command-line"] {
            let mut words = WHOLE.split(' ').collect::<Vec<_>>();
            let at = words.iter().position(|w| *w == flag).unwrap();
            words.drain(at..at + 2);
            refused(&words.join(" "), &format!("{flag} is missing"));
        }
        refused("--kernel-fd", "lacks its value");
        refused("--bogus 1", "\"--bogus\" is unknown");
        refused(&WHOLE.replace("134217729", "1000"), "--memory 1000");
        refused(&format!("{WHOLE} --page 1g"), "neither 4k nor 2m");
    }
}
