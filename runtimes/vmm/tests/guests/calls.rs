//! System calls: with arguments that mean something or nothing, and with structures that lie where they should not.

use super::{address, edge, store};
use crate::dice::Dice;
use crate::support::{DATA, call};

/// Areas of every protection, with holes between: see [`scenery`].
pub(super) const EDGE: u64 = 0x70_0000;
/// Paths, vectors and spans of time in the data.
const PATHS: u64 = DATA;
const VECTORS: u64 = DATA + 0x800;
const SPANS: u64 = DATA + 0x1000;

/// System calls with arguments that mean something or nothing, whatever each answers, and an end.
pub(super) fn random_calls(dice: &mut Dice) -> Vec<u8> {
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

/// What an argument is.
#[derive(Clone, Copy)]
enum Arg {
    /// A descriptor: of the host's, of the scenery's, or none.
    Fd,
    /// An address at the edge of an area.
    At,
    /// An address of whole pages.
    Page,
    /// Bytes.
    Len,
    /// A name.
    Path,
    /// A vector of addresses and lengths, or of descriptors.
    Vector,
    /// How many of them.
    Count,
    /// A span of time.
    Span,
    /// A place in a file.
    Offset,
    /// A little number.
    Few,
    /// Bits.
    Any,
    /// Always this.
    Is(u64),
}

use Arg::{Any, At, Count, Fd, Few, Is, Len, Offset, Page, Path, Span, Vector};

/// Calls that follow pointers, by what they take.
#[rustfmt::skip]
const CALLS: &[(i64, &[Arg])] = &[
    (libc::SYS_read, &[Fd, At, Len]), (libc::SYS_write, &[Fd, At, Len]), (libc::SYS_readv, &[Fd, Vector, Count]),
    (libc::SYS_writev, &[Fd, Vector, Count]), (libc::SYS_pread64, &[Fd, At, Len, Offset]),
    (libc::SYS_pwrite64, &[Fd, At, Len, Offset]), (libc::SYS_preadv, &[Fd, Vector, Count, Offset]),
    (libc::SYS_pwritev, &[Fd, Vector, Count, Offset]), (libc::SYS_lseek, &[Fd, Offset, Few]),
    (libc::SYS_ftruncate, &[Fd, Offset]), (libc::SYS_truncate, &[Path, Offset]),
    (libc::SYS_fallocate, &[Fd, Few, Offset, Len]), (libc::SYS_sendfile, &[Fd, Fd, At, Len]),
    (libc::SYS_open, &[Path, Any, Any]), (libc::SYS_openat, &[Fd, Path, Any, Any]), (libc::SYS_mkdir, &[Path, Any]),
    (libc::SYS_rmdir, &[Path]), (libc::SYS_unlink, &[Path]), (libc::SYS_rename, &[Path, Path]),
    (libc::SYS_renameat2, &[Fd, Path, Fd, Path, Few]), (libc::SYS_link, &[Path, Path]),
    (libc::SYS_symlink, &[Path, Path]), (libc::SYS_readlink, &[Path, At, Len]), (libc::SYS_chdir, &[Path]),
    (libc::SYS_fchdir, &[Fd]), (libc::SYS_getcwd, &[At, Len]), (libc::SYS_getdents64, &[Fd, At, Len]),
    (libc::SYS_stat, &[Path, At]), (libc::SYS_fstat, &[Fd, At]), (libc::SYS_newfstatat, &[Fd, Path, At, Any]),
    (libc::SYS_statx, &[Fd, Path, Any, Any, At]), (libc::SYS_statfs, &[Path, At]), (libc::SYS_mknod, &[Path, Any]),
    (libc::SYS_utimensat, &[Fd, Path, Span, Any]), (libc::SYS_chmod, &[Path, Any]), (libc::SYS_poll, &[Vector, Count, Few]),
    (libc::SYS_ppoll, &[Vector, Count, Span, At, Few]), (libc::SYS_select, &[Count, At, At, At, Span]),
    (libc::SYS_pselect6, &[Count, Vector, At, At, Span]), (libc::SYS_nanosleep, &[Span, At]),
    (libc::SYS_clock_nanosleep, &[Few, Few, Span, At]), (libc::SYS_futex, &[At, Few, Few, Span, At, Few]),
    (libc::SYS_alarm, &[Few]), (libc::SYS_setitimer, &[Few, Span, At]), (libc::SYS_timer_create, &[Few, At, At]),
    (libc::SYS_clock_gettime, &[Few, At]), (libc::SYS_clone, &[Any, At, At, At, At]), (libc::SYS_clone3, &[At, Len]),
    (libc::SYS_set_robust_list, &[At, Len]), (libc::SYS_rt_sigaction, &[Few, At, At, Is(8)]),
    (libc::SYS_rt_sigprocmask, &[Few, At, At, Is(8)]), (libc::SYS_sigaltstack, &[At, At]),
    (libc::SYS_rt_sigreturn, &[]), (libc::SYS_tgkill, &[Is(1), Is(1), Few]), (libc::SYS_mmap, &[Page, Len, Few, Any, Fd, Page]),
    (libc::SYS_mmap, &[Page, Len, Few, Is(2), Fd, Page]), (libc::SYS_munmap, &[Page, Len]),
    (libc::SYS_mprotect, &[Page, Len, Few]), (libc::SYS_mremap, &[Page, Len, Len, Few, Page]),
    (libc::SYS_madvise, &[Page, Len, Few]), (libc::SYS_mincore, &[Page, Len, At]), (libc::SYS_brk, &[At]),
    (libc::SYS_dup2, &[Fd, Fd]), (libc::SYS_dup3, &[Fd, Fd, Any]), (libc::SYS_fcntl, &[Fd, Few, Any]),
    (libc::SYS_fcntl, &[Fd, Is(1030), Fd]), (libc::SYS_close, &[Fd]), (libc::SYS_close_range, &[Fd, Fd, Few]),
    (libc::SYS_pipe2, &[At, Any]), (libc::SYS_ioctl, &[Fd, Is(0x541b), At]), (libc::SYS_ioctl, &[Fd, Is(0x5421), At]),
    (libc::SYS_getrandom, &[At, Len]), (libc::SYS_uname, &[At]), (libc::SYS_sysinfo, &[At]),
    (libc::SYS_prlimit64, &[Is(0), Few, At, At]), (libc::SYS_arch_prctl, &[Is(0x1002), At]),
    (libc::SYS_arch_prctl, &[Is(0x1003), At]), (libc::SYS_prctl, &[Is(15), At]), (libc::SYS_prctl, &[Is(16), At]),
    (libc::SYS_getrusage, &[Few, At]), (libc::SYS_times, &[At]), (libc::SYS_sched_getaffinity, &[Few, Len, At]),
    (libc::SYS_getresuid, &[At, At, At]), (libc::SYS_rt_sigpending, &[At, Is(8)]), (libc::SYS_gettimeofday, &[At, At]),
];

fn length(dice: &mut Dice) -> u64 {
    match dice.below(8) {
        0 => [u64::MAX, i64::MAX as u64, 1 << 31, 1 << 32, 0x7fff_f000, 1 << 47, 0x100_0000][dice.below(7)],
        1 => dice.below(0x30_0000) as u64,
        2 => 0x1000 * dice.below(20) as u64,
        _ => dice.below(130) as u64,
    }
}

fn argument(dice: &mut Dice, arg: Arg) -> u64 {
    match arg {
        Fd => {
            // AT_FDCWD among them, and numbers with something above their 32 bits.
            let fd = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1023, 1024, 0xffff_ff9c, 0xffff_ffff][dice.below(14)];
            fd | if dice.below(8) == 0 { dice.roll() << 32 } else { 0 }
        }
        At if dice.below(12) == 0 => 0,
        At if dice.below(3) == 0 => DATA + dice.below(0x2000) as u64,
        At => edge(dice),
        Page => edge(dice) & if dice.below(10) == 0 { !0 } else { !0xfff },
        Len => length(dice),
        Path if dice.below(6) == 0 => edge(dice),
        Path => PATHS + 32 * dice.below(NAMES.len()) as u64,
        Vector if dice.below(4) == 0 => edge(dice),
        Vector => VECTORS + dice.below(64) as u64 * 8,
        Count => [0, 1, 2, 3, 8, 64, 1023, 1024, 1025, u64::MAX, 1 << 31, 1 << 60][dice.below(12)],
        Span if dice.below(5) == 0 => edge(dice),
        Span => SPANS + dice.below(8) as u64 * 8,
        Offset if dice.below(3) == 0 => length(dice),
        Offset => {
            [0, 1, 0xfff, 0x1000, 0x10_0000, 0x100_0000, i64::MAX as u64, 1 << 63, u64::MAX][dice.below(9)]
        }
        Few => dice.below(25) as u64,
        Any if dice.below(2) == 0 => dice.roll() & 0x7f_ffff,
        Any => 1 << dice.below(64),
        Is(number) => number,
    }
}

/// Names in cells of 32 bytes.
const NAMES: [&[u8]; 12] = [
    b"/tmp/a",
    b"/tmp/b",
    b"/tmp/d",
    b"/tmp/d/e",
    b"/tmp/l",
    b"/",
    b"..",
    b"",
    b"/dev/stdin",
    b"/dev/zero",
    b"/proc/self/exe",
    b"l/../l/./a/",
];

/// Areas, open files and structures that the calls meet.
fn scenery(dice: &mut Dice) -> Vec<u8> {
    let mut code = Vec::new();
    for (at, prot) in [(0, 3), (0x2000, 1), (0x4000, 0), (0x6000, 7)] {
        code.extend(call(9, &[EDGE + at, 0x1000, prot, 0x32, u64::MAX, 0]));
    }
    for (i, name) in NAMES.iter().enumerate() {
        let mut cell = [0; 16];
        cell[..name.len()].copy_from_slice(name);
        for (j, word) in cell.chunks(8).enumerate().filter(|(_, word)| word.iter().any(|b| *b != 0)) {
            let word = u64::from_le_bytes(word.try_into().unwrap());
            code.extend(store(PATHS + 32 * i as u64 + 8 * j as u64, word));
        }
    }
    // Vectors that lead to themselves, to each other, to edges, and to what is no address.
    for i in 0..24 {
        let value = match dice.below(5) {
            0 => VECTORS + dice.below(0x200) as u64,
            1 => argument(dice, Fd) & 0xffff_ffff | dice.roll() << 32,
            2 => length(dice),
            _ => edge(dice),
        };
        code.extend(store(VECTORS + i * 8, value));
    }
    for i in 0..9 {
        let span = [0, 0, 1, 1000, 999_999_999, 1_000_000_000, i64::MAX as u64, u64::MAX][dice.below(8)];
        code.extend(store(SPANS + i * 8, span));
    }
    // 3: a file; 4 and 5: a pipe; 6: zeros; 7: a directory.
    code.extend(call(2, &[PATHS, 0x42, 0o644]));
    code.extend(call(293, &[DATA + 0x1800, 0x800]));
    code.extend(call(2, &[PATHS + 32 * 9, 2, 0]));
    code.extend(call(2, &[PATHS + 32 * 5, 0, 0]));
    code
}

/// Calls that follow pointers to the edges of areas and into structures of nonsense.
pub(super) fn structured_calls(dice: &mut Dice) -> Vec<u8> {
    let mut code = scenery(dice);
    for _ in 0..=dice.below(30) {
        let (nr, takes) = CALLS[dice.below(CALLS.len())];
        let args: Vec<u64> = takes.iter().map(|arg| argument(dice, *arg)).collect();
        code.extend(call(nr as u64, &args));
    }
    code.extend(call(231, &[7]));
    code
}
