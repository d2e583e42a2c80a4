//! Guests that nobody wrote: random code, damaged ELF headers, system calls with random arguments, random kernels.
//!
//! Each runs in a real virtual machine. However it ends, the VMM says how, in time, and never that it failed itself:
//! neither a crash, nor a call that its own filter forbids, nor an error of KVM's. `ISOMARK_FUZZ_GUESTS` is how many,
//! `ISOMARK_FUZZ_SEED` and `ISOMARK_FUZZ_FIRST` where they begin; `scripts/fuzz-guests` asks for 100,000.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

#[path = "../../../fuzz/src/dice.rs"]
mod dice;
mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dice::Dice;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use support::{BASE, DATA, ENTRY, call, elf, kvm_works};

/// What the VMM is told to stop a program after.
const DEADLINE_MS: &str = "30";
/// When a machine counts as hanging: a thousand times that, because a busy host may not run it at all for a while.
const PATIENCE: Duration = Duration::from_secs(30);
/// After this the watchdog of a stock kernel's machine, which is its harness, ends it.
const KERNEL_PATIENCE: Duration = Duration::from_millis(40);
/// A guest may write without end; as much of it is read.
const FLOOD: usize = 1 << 20;

/// What lies beside a kernel; nobody will unpack it.
const INITRAMFS: [u8; 512] = [0; 512];

/// How one ended, for the table.
type Ends = BTreeMap<String, u64>;

/// The files of one worker, inherited by every VMM that it starts.
struct Worker {
    program: File,
    status: File,
    second: File,
    kvm: File,
}

impl Worker {
    fn new() -> Self {
        let file = || inherited(tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).unwrap());
        let kvm = File::options().read(true).write(true).open("/dev/kvm").unwrap();
        let second = file();
        second.write_all_at(&INITRAMFS, 0).unwrap();
        Self { program: file(), status: file(), second, kvm: inherited(kvm) }
    }

    fn fill(&self, bytes: &[u8]) {
        self.program.set_len(bytes.len() as u64).unwrap();
        self.program.write_all_at(bytes, 0).unwrap();
    }

    /// Runs one guest; gives how it ended, or what is wrong.
    fn run(&mut self, kind: &str, bytes: &[u8]) -> Result<String, String> {
        self.fill(bytes);
        self.status.set_len(0).unwrap();
        self.status.rewind().unwrap();
        let (program, status) = (self.program.as_raw_fd().to_string(), self.status.as_raw_fd().to_string());
        let kvm = self.kvm.as_raw_fd().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_isomark-vmm"));
        let kernel = kind == "kernel";
        if kernel {
            let initrd = self.second.as_raw_fd().to_string();
            let sum = isomark_vmm::linux::sum::sum(&INITRAMFS).to_string();
            command.args(["linux", "--kernel-fd", &program, "--initrd-fd", &initrd, "--initrd-sum", &sum]);
            command.args(["--memory", "67108864", "--page", "4k", "--command-line", "quiet"]);
            command.args(["--status-fd", &status, "--kvm-fd", &kvm]);
        } else {
            command.args(["--program-fd", &program, "--status-fd", &status, "--kvm-fd", &kvm]);
            command.args(["--memory", "16777216", "--page", "4k", "--deadline", DEADLINE_MS, "--", "guest"]);
        }
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = spawned.map_err(|e| format!("spawn: {e}"))?;
        let patience = if kernel { KERNEL_PATIENCE } else { PATIENCE };
        let ended = drained(&mut child.stdout.take().unwrap(), patience);
        if !ended {
            child.kill().unwrap();
        }
        let exit = child.wait().unwrap();
        let mut story = String::new();
        self.status.rewind().unwrap();
        self.status.read_to_string(&mut story).map_err(|e| format!("the status is no text: {e}"))?;
        match story.lines().last().and_then(|line| line.strip_prefix("end ")) {
            _ if !ended && kernel => Ok("stopped by the watchdog".into()),
            _ if !ended => Err(format!("it hangs: {story:?}")),
            Some(end) => plausible(end, exit.code(), exit.signal()),
            None => Err(format!("the VMM died ({exit}) without a word: {story:?}")),
        }
    }
}

/// The end as the table has it, if status and exit tell the same story and the VMM did not fail.
fn plausible(end: &str, code: Option<i32>, signal: Option<i32>) -> Result<String, String> {
    let (word, rest) = end.split_once(' ').unwrap_or((end, ""));
    let fits = match word {
        "exit" => code == rest.parse().ok(),
        // The C library keeps 32 to 34 for itself: where whoever started us ignores one of those, the VMM leaves with
        // what a shell would say.
        "signal" => {
            let told = rest.parse().ok();
            signal == told || told.is_some_and(|n: i32| (32..=34).contains(&n) && code == Some(128 + n))
        }
        "fault" | "unserved" => code == Some(123),
        "program" => code == Some(124),
        _ => false,
    };
    let deadline = if rest == "deadline" { " (deadline)" } else { "" };
    fits.then(|| format!("{word}{deadline}")).ok_or_else(|| format!("end {end:?} with {code:?} {signal:?}"))
}

fn inherited(file: File) -> File {
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    file
}

/// Reads until the end of a machine's output; false if that does not come in time, or the flood has no end.
fn drained(from: &mut (impl Read + AsFd), patience: Duration) -> bool {
    let (until, mut chunk, mut got) = (Instant::now() + patience, [0; 4096], 0);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let millis = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
        let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        if left.is_zero()
            || poll(&mut fds, PollTimeout::from(millis)).unwrap_or(0) == 0 && left.as_millis() <= 1
        {
            return false;
        }
        if !fds[0].any().unwrap_or(false) {
            continue;
        }
        match from.read(&mut chunk) {
            Ok(0) => return true,
            Ok(len) => got += len,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
        // Enough has been seen; whoever still writes meets its deadline, or its closed pipe.
        if got > FLOOD {
            got = 0;
        }
    }
}

/// Addresses at which a machine could be wrong.
const ADDRESSES: [u64; 20] = [
    0,
    8,
    0x1000,
    0x2000,
    0x3000,
    0x3028,
    0x4000,
    0x4080,
    0x4100,
    0x4400,
    0x4402,
    0x4410,
    0x5000,
    0x5002,
    0x5010,
    0x6000,
    0x1f_f000,
    BASE,
    0xff_fff8,
    u64::MAX,
];

/// Instructions that only a kernel may use, or that few programs do.
#[rustfmt::skip]
const INSTRUCTIONS: &[&[u8]] = &[
    &[0x0f, 0x05], &[0x0f, 0x34], &[0xcd, 0x80], &[0xcc], &[0xce], &[0xf1], &[0x0f, 0x0b], &[0xf4], &[0xfa], &[0xfb],
    &[0xe6, 0xa0], &[0xe7, 0xa0], &[0x66, 0xe7, 0x9f], &[0xe6, 0x80], &[0xe6, 0x8e], &[0xe4, 0x60], &[0xee], &[0xef],
    &[0x6e], &[0xf3, 0x6e], &[0xf3, 0x6f], &[0xf3, 0x6c], &[0x48, 0xcf], &[0x48, 0x0f, 0x07], &[0x0f, 0x07],
    &[0x0f, 0x01, 0xf8], &[0x0f, 0x01, 0xc1], &[0x0f, 0x01, 0xd9], &[0x0f, 0x01, 0xc2], &[0x0f, 0x01, 0xd8],
    &[0x0f, 0x20, 0xd8], &[0x0f, 0x22, 0xd8], &[0x0f, 0x22, 0xe0], &[0x0f, 0x21, 0xf8], &[0x0f, 0x23, 0xf8],
    &[0x0f, 0x30], &[0x0f, 0x32], &[0x0f, 0x33], &[0x0f, 0x31], &[0x0f, 0x01, 0xf9], &[0x0f, 0xa2], &[0x0f, 0x01, 0xd0],
    &[0x0f, 0x01, 0xd1], &[0x0f, 0x00, 0xd8], &[0x0f, 0x00, 0xd0], &[0x0f, 0x01, 0x38], &[0x0f, 0x01, 0x10],
    &[0x0f, 0x01, 0x18], &[0x0f, 0x01, 0x00], &[0x0f, 0x09], &[0x0f, 0x08], &[0x0f, 0x06], &[0x0f, 0x01, 0xc8],
    &[0x0f, 0x01, 0xc9], &[0x0f, 0xae, 0x00], &[0x0f, 0xae, 0x08], &[0x0f, 0xae, 0x20], &[0x0f, 0xae, 0x28],
    &[0xf3, 0x48, 0x0f, 0xae, 0xd0], &[0xf3, 0x48, 0x0f, 0xae, 0xd8], &[0x8e, 0xd8], &[0x8e, 0xd0], &[0x8e, 0xe0],
    &[0x9c], &[0x9d], &[0x81, 0x0c, 0x24, 0x00, 0x75, 0x04, 0x00, 0x9d], &[0x81, 0x0c, 0x24, 0x00, 0x01, 0, 0, 0x9d],
    &[0xff, 0xe0], &[0xff, 0xd0], &[0xff, 0x20], &[0xff, 0x28], &[0x48, 0xff, 0x28], &[0xca, 0, 0], &[0x48, 0xcb],
    &[0xc3], &[0x50], &[0x58], &[0x5c], &[0x48, 0x89, 0xc4], &[0xc8, 0xff, 0xff, 0x1f], &[0xc9], &[0xf3, 0xaa],
    &[0xf3, 0xa4], &[0xf3, 0x48, 0xab], &[0xf0, 0x48, 0x0f, 0xc7, 0x08], &[0x8b, 0x00], &[0x89, 0x00], &[0x0f, 0xae, 0x38],
    &[0xdd, 0x20], &[0xdb, 0xe3], &[0xd9, 0x30], &[0x9b], &[0xc5, 0xf8, 0x77], &[0xc5, 0xfe, 0x6f, 0x00],
    &[0x0f, 0xc7, 0xf0], &[0x0f, 0xc7, 0xf8], &[0xeb, 0xfe], &[0xe2, 0xfe], &[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0],
    &[0x65, 0x48, 0x89, 0x04, 0x25, 0, 0, 0, 0], &[0x0f, 0xc7, 0x30], &[0xf3, 0x0f, 0xc7, 0xf8], &[0x0f, 0x79, 0xc0],
];

fn address(dice: &mut Dice) -> u64 {
    match dice.below(6) {
        0 => dice.roll(),
        1 => DATA + dice.below(0x1_0000) as u64,
        2 => ENTRY + dice.below(256) as u64,
        3 => dice.below(0x200) as u64 * 0x1000,
        _ => ADDRESSES[dice.below(ADDRESSES.len())].wrapping_add(dice.below(17) as u64).wrapping_sub(8),
    }
}

/// `movabs` into any register but the stack pointer.
fn set(dice: &mut Dice, code: &mut Vec<u8>) {
    let register = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15][dice.below(15)];
    code.extend([if register > 7 { 0x49 } else { 0x48 }, 0xb8 + (register & 7)]);
    code.extend(address(dice).to_le_bytes());
}

/// Code of instructions that are unlikely, or of bytes that may be none.
fn random_code(dice: &mut Dice) -> Vec<u8> {
    let mut code = Vec::new();
    for _ in 0..=dice.below(24) {
        match dice.below(8) {
            0 | 1 => set(dice, &mut code),
            2 => {
                let len = dice.below(24);
                code.extend(dice.bytes(len));
            }
            // A jump by a little, back or forth.
            3 => code.extend([0xeb, dice.roll() as u8]),
            _ => code.extend(INSTRUCTIONS[dice.below(INSTRUCTIONS.len())]),
        }
    }
    code
}

/// System calls with arguments that mean something or nothing, whatever each answers, and an end.
fn random_calls(dice: &mut Dice) -> Vec<u8> {
    let mut code = Vec::new();
    for _ in 0..=dice.below(20) {
        let nr = if dice.below(16) == 0 { dice.roll() } else { dice.below(470) as u64 };
        let args: [u64; 6] = std::array::from_fn(|_| match dice.below(4) {
            0 => dice.below(10) as u64,
            1 => 1 << dice.below(64),
            _ => address(dice),
        });
        // What it answers is an argument of the next, once in a while.
        if dice.below(8) == 0 {
            code.extend([0x48, 0x89, 0x04, 0x25]);
            code.extend((DATA as u32 + dice.below(64) as u32 * 8).to_le_bytes());
        }
        code.extend(call(nr, &args));
    }
    code.extend(call(231, &[7]));
    code
}

/// A good file with some bytes of its headers changed.
fn damaged_elf(dice: &mut Dice) -> Vec<u8> {
    let mut file = elf(&call(231, &[7]));
    for _ in 0..=dice.below(5) {
        let at = dice.below(176);
        match dice.below(3) {
            0 => file[at] = dice.roll() as u8,
            1 => file[at] ^= 1 << dice.below(8),
            _ => {
                let at = at / 8 * 8;
                file[at..at + 8].copy_from_slice(&address(dice).to_le_bytes());
            }
        }
    }
    if dice.below(8) == 0 {
        file.truncate(dice.below(5000));
    }
    file
}

/// A bzImage whose 64-bit entry is random code: a guest that has the whole machine for itself.
fn random_kernel(dice: &mut Dice) -> Vec<u8> {
    let mut file = vec![0x90; 512 * 5 + 1600];
    file[..0x290].fill(0);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[4]);
    put(0x1f4, &100_u32.to_le_bytes());
    put(0x1fe, &0xaa55_u16.to_le_bytes());
    put(0x202, b"HdrS");
    put(0x206, &0x20f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x234, &[1]);
    put(0x236, &1_u16.to_le_bytes());
    put(0x238, &2047_u32.to_le_bytes());
    put(0x258, &(16_u64 << 20).to_le_bytes());
    put(0x260, &(8_u32 << 20).to_le_bytes());
    let mut code = Vec::new();
    // Floods of its ports, each a byte or a word from a place that may not exist.
    for _ in 0..=dice.below(6) {
        let ports = [0x3f8, 0x2f8, 0x2fb, 0x60, 0x64, 0x402, 0x80, 0xa0, 0xcf8, 0x70, 0x20, 0x43];
        let port = if dice.below(4) == 0 { dice.roll() as u16 } else { ports[dice.below(ports.len())] };
        code.extend([0x66, 0xba]);
        code.extend(port.to_le_bytes());
        code.extend([0xb0, dice.roll() as u8]);
        code.extend(
            [&[0xee][..], &[0xec], &[0x66, 0xef], &[0xf3, 0x6e], &[0xef], &[0xf3, 0x6c]][dice.below(6)],
        );
    }
    code.extend(random_code(dice));
    let at = 512 * 5 + 0x200;
    file[at..at + code.len().min(1000)].copy_from_slice(&code[..code.len().min(1000)]);
    file
}

fn one(at: u64, dice: &mut Dice) -> (&'static str, Vec<u8>) {
    match at % 20 {
        0 => ("kernel", random_kernel(dice)),
        1..=8 => ("code", elf(&random_code(dice))),
        9..=15 => ("calls", elf(&random_calls(dice))),
        _ => ("headers", damaged_elf(dice)),
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Every `workers`-th guest.
fn work(first: u64, workers: u64, count: u64, seed: u64) -> Result<Ends, String> {
    let (mut worker, mut ends) = (Worker::new(), Ends::new());
    for at in (first..count).step_by(workers as usize) {
        // A seed for each: one can be run again by itself.
        let mut dice = Dice::new(seed.wrapping_mul(1_000_003) ^ at);
        let (kind, bytes) = one(at, &mut dice);
        match worker.run(kind, &bytes) {
            Ok(end) => *ends.entry(format!("{kind}: {end}")).or_default() += 1,
            Err(why) => {
                let kept =
                    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guest-{seed}-{at}"));
                std::fs::write(&kept, &bytes).unwrap();
                return Err(format!("guest {at} of seed {seed} ({kind}), kept in {}: {why}", kept.display()));
            }
        }
    }
    Ok(ends)
}

#[test]
fn guests_that_nobody_wrote_end_in_words() {
    if !kvm_works() {
        return;
    }
    let (count, seed) = (number("ISOMARK_FUZZ_GUESTS", 300), number("ISOMARK_FUZZ_SEED", 1));
    let from = number("ISOMARK_FUZZ_FIRST", 0);
    let only = std::env::var("ISOMARK_FUZZ_ONLY").ok().map(|text| text.parse::<u64>().unwrap());
    let began = Instant::now();
    let all: Vec<Result<Ends, String>> = match only {
        Some(at) => vec![work(at, 1, at + 1, seed)],
        None => std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..2).map(|first| scope.spawn(move || work(from + first, 2, count, seed))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        }),
    };
    let (mut ends, mut wrong) = (Ends::new(), Vec::new());
    for part in all {
        match part {
            Ok(part) => part.into_iter().for_each(|(end, n)| *ends.entry(end).or_default() += n),
            Err(why) => wrong.push(why),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut text =
        format!("guests {from} to {count} of seed {seed} in {:.1} s\n", began.elapsed().as_secs_f64());
    ends.iter().for_each(|(end, n)| text.push_str(&format!("{n:9} {end}\n")));
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    if only.is_none() && count >= 300 && from == 0 {
        // A guest that is refused before it runs tries nothing: most must have run.
        let ran: u64 = ends.iter().filter(|(end, _)| !end.contains("program")).map(|(_, n)| n).sum();
        assert!(ran * 2 > count, "{ends:?}");
    }
}
