//! The stack that a fresh program finds (System V ABI for x86-64, 3.4.1).
//!
//! A pure function from arguments, environment and program to bytes; the same input gives the same bytes, apart from
//! the sixteen random ones that it is handed.

use crate::elf::Program;
use crate::error::Error;
use crate::layout::PAGE;

/// What the auxiliary vector says about the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// CPUID.1:EDX.
    pub hwcap: u64,
    /// Bit 1: the program may use the FSGSBASE instructions.
    pub hwcap2: u64,
    /// For the C library's canaries.
    pub random: [u8; 16],
}

/// Bytes that belong at `pointer` and above, up to the end of memory.
#[derive(Debug)]
pub struct Stack {
    /// The initial stack pointer; `argc` lies there.
    pub pointer: u64,
    /// Content from there to `top`.
    pub bytes: Vec<u8>,
    /// Where the random bytes lie.
    pub random: u64,
}

const PLATFORM: &[u8] = b"x86_64";
/// Room for a signal frame with all vector state, for AT_MINSIGSTKSZ.
const SIGNAL_STACK: u64 = 4096 + 1024;

/// Builds the stack that ends at `top`.
///
/// # Errors
/// [`Error::Program`] if arguments and environment take more than `limit` bytes.
pub fn build(
    top: u64,
    limit: u64,
    args: &[&[u8]],
    env: &[&[u8]],
    program: &Program,
    machine: &Machine,
) -> Result<Stack, Error> {
    let mut strings = Vec::new();
    let mut place = |text: &[u8]| {
        let at = strings.len() as u64;
        strings.extend_from_slice(text);
        strings.push(0);
        at
    };
    let args: Vec<u64> = args.iter().map(|text| place(text)).collect();
    let env: Vec<u64> = env.iter().map(|text| place(text)).collect();
    let platform = place(PLATFORM);
    let random = strings.len() as u64;
    strings.extend_from_slice(&machine.random);

    let words = 1 + args.len() + 1 + env.len() + 1 + 2 * AUX_LEN;
    let total = (strings.len() as u64 + 8 * words as u64).next_multiple_of(16);
    if total > limit {
        return Err(Error::Program(format!(
            "arguments and environment take {total} bytes; the stack has room for {limit}"
        )));
    }
    let pointer = top - total;
    let base = top - strings.len() as u64;
    let mut bytes = Vec::with_capacity(total as usize);
    let mut push = |word: u64| bytes.extend_from_slice(&word.to_le_bytes());
    push(args.len() as u64);
    args.iter().for_each(|at| push(base + at));
    push(0);
    env.iter().for_each(|at| push(base + at));
    push(0);
    let name = args.first().map_or(base + platform, |at| base + at);
    for (key, value) in auxiliary(program, machine, base + random, base + platform, name) {
        push(key);
        push(value);
    }
    bytes.resize(total as usize - strings.len(), 0);
    bytes.extend_from_slice(&strings);
    Ok(Stack { pointer, bytes, random: base + random })
}

const AUX_LEN: usize = 20;

/// Keys of linux/auxvec.h. There is no AT_SYSINFO_EHDR: without a vDSO the C library makes system calls.
fn auxiliary(
    program: &Program,
    machine: &Machine,
    random: u64,
    platform: u64,
    name: u64,
) -> [(u64, u64); AUX_LEN] {
    [
        (libc::AT_PHDR, program.phdr),
        (libc::AT_PHENT, 56),
        (libc::AT_PHNUM, program.phnum.into()),
        (libc::AT_PAGESZ, PAGE),
        (libc::AT_BASE, 0),
        (libc::AT_FLAGS, 0),
        (libc::AT_ENTRY, program.entry),
        (libc::AT_UID, 0),
        (libc::AT_EUID, 0),
        (libc::AT_GID, 0),
        (libc::AT_EGID, 0),
        (libc::AT_SECURE, 0),
        (libc::AT_CLKTCK, 100),
        (libc::AT_HWCAP, machine.hwcap),
        (libc::AT_HWCAP2, machine.hwcap2),
        (libc::AT_RANDOM, random),
        (libc::AT_PLATFORM, platform),
        (libc::AT_EXECFN, name),
        (libc::AT_MINSIGSTKSZ, SIGNAL_STACK),
        (libc::AT_NULL, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::word;

    fn program() -> Program {
        Program {
            entry: 0x40_1000,
            segments: Vec::new(),
            phdr: 0x40_0040,
            phnum: 4,
            exec_stack: false,
            end: 0x50_0000,
        }
    }

    fn string(stack: &Stack, at: u64) -> String {
        let from = (at - stack.pointer) as usize;
        let text = &stack.bytes[from..];
        String::from_utf8_lossy(&text[..text.iter().position(|&b| b == 0).unwrap()]).into_owned()
    }

    #[track_caller]
    fn check(args: &[&[u8]], env: &[&[u8]]) {
        let top = 64 << 20;
        let machine = Machine { random: [7; 16], ..Machine::default() };
        let stack = build(top, 4096, args, env, &program(), &machine).unwrap();
        assert_eq!(stack.pointer % 16, 0, "the ABI wants 16-byte alignment at entry");
        assert_eq!(stack.pointer + stack.bytes.len() as u64, top);
        let at = |index: usize| word(&stack.bytes, index * 8);
        assert_eq!(at(0), args.len() as u64);
        for (i, text) in args.iter().enumerate() {
            assert_eq!(string(&stack, at(1 + i)).as_bytes(), *text);
        }
        assert_eq!(at(1 + args.len()), 0);
        for (i, text) in env.iter().enumerate() {
            assert_eq!(string(&stack, at(2 + args.len() + i)).as_bytes(), *text);
        }
        let aux = 3 + args.len() + env.len();
        assert_eq!(at(aux - 1), 0);
        let find = |key| (0..AUX_LEN).map(|i| aux + 2 * i).find(|&i| at(i) == key).map(|i| at(i + 1));
        assert_eq!(find(libc::AT_ENTRY), Some(0x40_1000));
        assert_eq!(find(libc::AT_NULL), Some(0));
        assert_eq!(find(libc::AT_SYSINFO_EHDR), None);
        assert_eq!(string(&stack, find(libc::AT_PLATFORM).unwrap()), "x86_64");
        let random = (find(libc::AT_RANDOM).unwrap() - stack.pointer) as usize;
        assert_eq!(stack.bytes[random..random + 16], [7; 16]);
    }

    #[test]
    fn the_stack_reads_back() {
        check(&[], &[]);
        check(&[b"a"], &[]);
        check(&[b"prog", b"", b"two words"], &[b"A=1", b"PATH=/bin"]);
    }

    #[test]
    fn too_many_arguments_are_refused() {
        let long = vec![b'x'; 5000];
        let refused = build(64 << 20, 4096, &[&long], &[], &program(), &Machine::default());
        assert!(matches!(refused, Err(Error::Program(text)) if text.contains("4096")));
    }
}
