//! The command line of the VMM.
//!
//! Written by a harness, not by people: every flag takes one value as its own word, order does not matter, and
//! whatever is not understood is refused by name.

use crate::error::Error;
use crate::layout::{BLOCK, MEMORY_MAX, MEMORY_MIN};
use crate::mask::Mask;
use crate::memory::Policy;

/// What to run, and how.
#[derive(Debug)]
pub struct Args<'a> {
    /// Descriptor of the program's ELF file, or of the snapshot to go on from.
    pub program_fd: i32,
    /// It is a snapshot; true inside: whose sums the caller has checked.
    pub restore: Option<bool>,
    /// Where to save the program when it is about to speak.
    pub save_fd: Option<i32>,
    /// Readable once the program may run.
    pub wait_fd: Option<i32>,
    /// Bytes of guest memory; a snapshot has its own.
    pub memory: u64,
    /// How guest memory meets host memory.
    pub policy: Policy,
    /// Where to tell the story.
    pub status_fd: Option<i32>,
    /// An open /dev/kvm.
    pub kvm_fd: Option<i32>,
    /// What is hidden of the host's CPU.
    pub mask: Mask,
    /// Milliseconds after which the program is stopped.
    pub deadline: Option<u64>,
    /// The program's environment.
    pub env: Vec<&'a [u8]>,
    /// The program's arguments, its name first.
    pub argv: Vec<&'a [u8]>,
}

pub(crate) fn refuse<T>(text: String) -> Result<T, Error> {
    Err(Error::Internal(text))
}

pub(crate) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

pub(crate) fn number(flag: &str, value: &[u8]) -> Result<u64, Error> {
    let parsed = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
    parsed.ok_or_else(|| Error::Internal(format!("{flag} {:?} is not a number", shown(value))))
}

pub(crate) fn fd(flag: &str, value: &[u8]) -> Result<i32, Error> {
    match i32::try_from(number(flag, value)?) {
        Ok(fd) if fd > 2 => Ok(fd),
        _ => refuse(format!("{flag} {:?} is not a descriptor above 2", shown(value))),
    }
}

impl<'a> Args<'a> {
    /// Reads the words after the program's own name.
    ///
    /// # Errors
    /// The flag or value that is wrong.
    pub fn parse(words: &[&'a [u8]]) -> Result<Self, Error> {
        let (mut program_fd, mut memory) = (None, None);
        let mut args = Self {
            program_fd: -1,
            restore: None,
            save_fd: None,
            wait_fd: None,
            memory: 0,
            policy: Policy { huge: true, prefault: None },
            status_fd: None,
            kvm_fd: None,
            mask: Mask::default(),
            deadline: None,
            env: Vec::new(),
            argv: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let flag = shown(word);
            if flag == "--" {
                args.argv = words.copied().collect();
                break;
            }
            let Some(&value) = words.next() else {
                return refuse(format!("{flag:?} is unknown or lacks its value"));
            };
            match flag.as_str() {
                "--program-fd" => program_fd = Some(fd(&flag, value)?),
                "--restore-fd" => {
                    program_fd = Some(fd(&flag, value)?);
                    args.restore.get_or_insert(false);
                }
                "--checked" => args.restore = Some(yes(value)?),
                "--save-fd" => args.save_fd = Some(fd(&flag, value)?),
                "--wait-fd" => args.wait_fd = Some(fd(&flag, value)?),
                "--memory" => memory = Some(number(&flag, value)?),
                "--page" => args.policy.huge = page(value)?,
                "--prefault" if value == b"none" => args.policy.prefault = None,
                "--prefault" => args.policy.prefault = Some(number(&flag, value)?),
                "--status-fd" => args.status_fd = Some(fd(&flag, value)?),
                "--kvm-fd" => args.kvm_fd = Some(fd(&flag, value)?),
                "--mask" => args.mask = Mask::parse(value)?,
                "--deadline" => args.deadline = Some(number(&flag, value)?),
                "--env" => args.env.push(variable(value)?),
                _ => return refuse(format!("{flag:?} is unknown")),
            }
        }
        args.program_fd = program_fd.ok_or_else(|| Error::Internal("--program-fd is missing".into()))?;
        if args.restore.is_some() {
            return args.of_snapshot(memory);
        }
        args.memory = size(memory.ok_or_else(|| Error::Internal("--memory is missing".into()))?)?;
        if args.save_fd.is_some() && args.wait_fd.is_some() {
            return refuse("--save-fd and --wait-fd exclude each other".into());
        }
        if args.argv.is_empty() {
            return refuse("there is no program name after --".into());
        }
        Ok(args)
    }

    /// A snapshot holds all that is otherwise said of a program.
    fn of_snapshot(self, memory: Option<u64>) -> Result<Self, Error> {
        if memory.is_some() || self.save_fd.is_some() || !self.env.is_empty() || !self.argv.is_empty() {
            return refuse("--restore-fd goes with no memory, environment, arguments or --save-fd".into());
        }
        Ok(self)
    }
}

fn yes(value: &[u8]) -> Result<bool, Error> {
    match value {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        other => refuse(format!("--checked {:?} is neither yes nor no", shown(other))),
    }
}

pub(crate) fn page(value: &[u8]) -> Result<bool, Error> {
    match value {
        b"4k" => Ok(false),
        b"2m" => Ok(true),
        other => refuse(format!("--page {:?} is neither 4k nor 2m", shown(other))),
    }
}

fn variable(value: &[u8]) -> Result<&[u8], Error> {
    match value.iter().position(|&b| b == b'=') {
        Some(at) if at > 0 => Ok(value),
        _ => refuse(format!("--env {:?} is not NAME=VALUE", shown(value))),
    }
}

/// Whole blocks between the least and the most that the layout can describe.
fn size(bytes: u64) -> Result<u64, Error> {
    if !(MEMORY_MIN..=MEMORY_MAX).contains(&bytes) {
        return refuse(format!("--memory {bytes} is not between {MEMORY_MIN} and {MEMORY_MAX} bytes"));
    }
    Ok(bytes / BLOCK * BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args<'_>, Error> {
        Args::parse(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn a_full_line_is_understood() {
        let line = "--program-fd 3 --memory 67108865 --page 4k --prefault 4096 --status-fd 4 --kvm-fd 5 --deadline 7 \
                    --env A=1 --env B= -- prog --memory x";
        let args = parse(line).unwrap();
        assert_eq!((args.program_fd, args.memory, args.deadline), (3, 64 << 20, Some(7)));
        assert_eq!(args.policy, Policy { huge: false, prefault: Some(4096) });
        assert_eq!((args.status_fd, args.kvm_fd), (Some(4), Some(5)));
        assert_eq!(args.env, [b"A=1", b"B=".as_slice()]);
        assert_eq!(args.argv, [b"prog".as_slice(), b"--memory", b"x"]);
    }

    #[track_caller]
    fn refused(line: &str, with: &str) {
        let error = parse(line).expect_err("must be refused").to_string();
        assert!(error.contains(with), "{line:?} gave {error:?}");
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        refused("", "lacks its value");
        refused("--memory 67108864 -- p", "--program-fd is missing");
        refused("--program-fd 3 -- p", "--memory is missing");
        refused("--program-fd 3 --memory 67108864", "no program name");
        refused("--program-fd 2 --memory 67108864 -- p", "above 2");
        refused("--program-fd 3 --memory 1000 -- p", "--memory 1000");
        refused("--program-fd 3 --memory 64M -- p", "not a number");
        refused("--bogus 1", "\"--bogus\" is unknown");
        refused("--page 1g", "neither 4k nor 2m");
        refused("--env =x", "NAME=VALUE");
        refused("--mask avx2", "--mask \"avx2\"");
    }
}
