//! Guests that nobody wrote: random code in odd states, system calls with structures of nonsense, signal frames that were
//! changed, storms of mappings, damaged files, forged snapshots, random kernels. How they are made: [`guests`].
//!
//! Each runs in a real virtual machine. However it ends, the VMM says how, in time, and never that it failed itself:
//! neither a crash, nor a call that its own filter forbids, nor an error of KVM's. `ISOMARK_FUZZ_GUESTS` is how many,
//! `ISOMARK_FUZZ_SEED` and `ISOMARK_FUZZ_FIRST` where they begin; `scripts/fuzz-guests` asks for 100,000.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

#[path = "support/bzimage.rs"]
mod bzimage;
#[path = "../../../fuzz/src/dice.rs"]
mod dice;
mod guests;
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
use guests::{Forge, Is, Made};
use isomark_vmm::linux::control::INIT;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use support::kvm_works;

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
    forge: Forge,
}

impl Worker {
    fn new() -> Self {
        let file = || inherited(tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).unwrap());
        let kvm = File::options().read(true).write(true).open("/dev/kvm").unwrap();
        let second = file();
        second.write_all_at(&INITRAMFS, 0).unwrap();
        let forge = Forge(Vec::new());
        let mut worker = Self { program: file(), status: file(), second, kvm: inherited(kvm), forge };
        worker.forge = Forge(worker.saved());
        worker
    }

    /// A snapshot of a program that was about to speak.
    fn saved(&self) -> Vec<u8> {
        self.fill(&guests::says_one_word());
        let mut file = inherited(tempfile::tempfile().unwrap());
        let [program, save] = [&self.program, &file].map(|file| file.as_raw_fd().to_string());
        let args =
            ["--program-fd", &program, "--save-fd", &save, "--memory", "16777216", "--page", "4k", "--", "g"];
        let saved = Command::new(env!("CARGO_BIN_EXE_isomark-vmm")).args(args).status().unwrap();
        assert_eq!(saved.code(), Some(0), "a snapshot to forge from");
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn fill(&self, bytes: &[u8]) {
        self.program.set_len(bytes.len() as u64).unwrap();
        self.program.write_all_at(bytes, 0).unwrap();
    }

    /// Runs one guest; gives how it ended, or what is wrong.
    fn run(&mut self, made: &Made) -> Result<String, String> {
        self.fill(&made.bytes);
        self.status.set_len(0).unwrap();
        self.status.rewind().unwrap();
        let (program, status) = (self.program.as_raw_fd().to_string(), self.status.as_raw_fd().to_string());
        let kvm = self.kvm.as_raw_fd().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_isomark-vmm"));
        let kernel = made.is == Is::Kernel;
        if kernel {
            let initrd = self.second.as_raw_fd().to_string();
            let sum = isomark_vmm::linux::sum::sum(&INITRAMFS).to_string();
            command.args(["linux", "--kernel-fd", &program, "--initrd-fd", &initrd, "--initrd-sum", &sum]);
            command.args(["--memory", "67108864", "--page", "4k", "--command-line", "quiet"]);
            command.args(["--status-fd", &status, "--kvm-fd", &kvm]);
        } else {
            let flag = if made.is == Is::Snapshot { "--restore-fd" } else { "--program-fd" };
            command.args([
                flag,
                &program,
                "--status-fd",
                &status,
                "--kvm-fd",
                &kvm,
                "--deadline",
                DEADLINE_MS,
            ]);
        }
        if made.is == Is::Program {
            command.args(["--memory", "16777216", "--page", "4k", "--", "guest"]);
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
        // A kernel may say that of itself.
        "internal" => code == Some(125) && rest.starts_with(INIT),
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

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Every `workers`-th guest.
fn work(first: u64, workers: u64, count: u64, seed: u64) -> Result<Ends, String> {
    let (mut worker, mut ends) = (Worker::new(), Ends::new());
    for at in (first..count).step_by(workers as usize) {
        // A seed for each: one can be run again by itself.
        let mut dice = Dice::new(seed.wrapping_mul(1_000_003) ^ at);
        let made = guests::one(at, &mut dice, &worker.forge);
        let kind = made.kind;
        match worker.run(&made) {
            Ok(end) => *ends.entry(format!("{kind}: {end}")).or_default() += 1,
            Err(why) => {
                let kept =
                    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guest-{seed}-{at}"));
                std::fs::write(&kept, &made.bytes).unwrap();
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
