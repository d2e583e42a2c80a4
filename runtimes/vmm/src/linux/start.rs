//! From the command line to the end of the process, for a stock kernel.
//!
//! The order is that of a program's machine: everything is opened and checked, then the VMM confines itself, then the
//! guest's first instruction runs.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use kvm_ioctls::{Kvm, VcpuExit, VcpuFd};

use super::args::Args;
use super::board::{Board, Meant, Wire};
use super::control::Said;
use super::kernel::{self, Kernel};
use super::machine::{self, Machine};
use super::params::{self, Beside};
use super::{confine, input, sum};
use crate::error::{End, Error};
use crate::start::{descriptor, fail, finish, open_kvm};
use crate::status::Status;
use crate::sys::host;
use crate::sys::ram::Ram;

/// KVM_RUN that is refused this often in a row for want of a task (KVM starts one of its own for each machine) is refused
/// for good: a limit on pids does not go away, and without this the guest would be tried until the harness's deadline.
const AGAIN_MAX: u32 = 1000;

/// The whole life of the process, from the words behind `linux`.
pub fn main(words: &[&'static [u8]], mut status: Status) -> ! {
    let args = match Args::parse(words) {
        Ok(args) => args,
        Err(error) => fail(None, &error),
    };
    match set_up(&args, &mut status) {
        Ok((machine, _kvm)) => run(machine, args.status_fd, &mut status),
        Err(error) => fail(args.status_fd, &error),
    }
}

fn set_up(args: &Args<'_>, status: &mut Status) -> Result<(Machine, Kvm), Error> {
    host::ignore_sigpipe();
    let kernel = descriptor("--kernel-fd", args.kernel_fd)?;
    let initrd = descriptor("--initrd-fd", args.initrd_fd)?;
    let kvm = open_kvm(args.kvm_fd)?;
    status.step("open");
    let ram = Ram::new(args.memory)?;
    host::name_mapping(ram.host_address(), ram.len());
    status.ram(ram.host_address(), ram.len());
    if args.huge {
        ram.huge(0, ram.len());
    } else {
        ram.small(0, ram.len());
    }
    let kernel = kernel::load(&ram, &mut owned(kernel)?)?;
    status.step("kernel");
    let initrd = load_initrd(&ram, &kernel, &owned(initrd)?, args.initrd_sum)?;
    params::write(&ram, &kernel, &Beside { command_line: args.command_line, initrd })?;
    status.step("initramfs");
    let machine = machine::make(&kvm, &ram, |name| status.step(name))?;
    machine.prepare(&kvm, kernel.entry, &args.mask)?;
    status.step("state");
    crate::confine::bound(ram.len(), false);
    // Guest memory stays mapped for as long as the process lives.
    std::mem::forget(ram);
    Ok((machine, kvm))
}

fn owned(fd: BorrowedFd<'_>) -> Result<File, Error> {
    let fd = fd
        .as_fd()
        .try_clone_to_owned()
        .map_err(|e| Error::Internal(format!("duplicate a descriptor: {e}")))?;
    Ok(File::from(fd))
}

fn load_initrd(ram: &Ram, kernel: &Kernel, file: &File, expected: u64) -> Result<(u64, u64), Error> {
    let failed = |e: std::io::Error| Error::Internal(format!("read the initramfs: {e}"));
    let len = file.metadata().map_err(failed)?.len();
    let at = params::place_initrd(kernel, ram.len(), len)?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    if sum::sum(&bytes) != expected {
        return Err(Error::Program("the initramfs is damaged or not the one that was written".into()));
    }
    if !ram.write(at, &bytes) {
        return Err(Error::Internal("the initramfs lies outside guest memory".into()));
    }
    Ok((at, len))
}

/// Runs the guest to its end.
fn run(machine: Machine, status_fd: Option<i32>, status: &mut Status) -> ! {
    let Machine { mut vcpu, vm } = machine;
    let wire = Wire::new(&vm);
    std::thread::scope(|scope| -> ! {
        let carrier = std::thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, || {
            host::block_signals();
            if confine::enter(status_fd).is_ok() {
                input::carry(&wire);
            }
        });
        let end = match carrier.map_err(|e| Error::Internal(format!("start a thread: {e}"))) {
            Ok(_) => guest(&mut vcpu, &mut Board::new(&vm, &wire), status_fd, status),
            Err(error) => End::Internal(error.to_string()),
        };
        // Not joined: it may wait for input that never comes, and nobody waits for this process longer than needed.
        finish(status, status_fd, &end)
    })
}

fn guest(vcpu: &mut VcpuFd, board: &mut Board<'_>, status_fd: Option<i32>, status: &mut Status) -> End {
    if let Err(error) = confine::enter(status_fd) {
        return End::Internal(error.to_string());
    }
    status.step("entry");
    let end = to_end(vcpu, board, status);
    board.hand_on_all();
    end
}

fn to_end(vcpu: &mut VcpuFd, board: &mut Board<'_>, status: &mut Status) -> End {
    let mut again = 0;
    loop {
        status.count_exit();
        let exit = vcpu.run();
        again = if matches!(&exit, Err(e) if e.errno() == libc::EAGAIN) { again + 1 } else { 0 };
        let meant = match exit {
            Ok(VcpuExit::IoOut(port, data)) => board.write(port, data),
            Ok(VcpuExit::IoIn(port, data)) => {
                board.read(port, data);
                Meant::Nothing
            }
            Ok(VcpuExit::MmioRead(_, data)) => {
                data.fill(0xff);
                Meant::Nothing
            }
            Ok(VcpuExit::MmioWrite(..) | VcpuExit::Intr) => Meant::Nothing,
            Ok(VcpuExit::Shutdown) => {
                return End::Fault("the guest's kernel shut its CPU down (triple fault)".into());
            }
            Ok(VcpuExit::InternalError) => {
                return End::Fault(
                    "KVM could not emulate an instruction of the guest's kernel (internal error)".into(),
                );
            }
            Ok(VcpuExit::FailEntry(reason, _)) => {
                return End::Fault(format!("KVM could not enter the guest (reason {reason:#x})"));
            }
            Ok(other) => return End::Fault(format!("unexpected exit {other:?}")),
            Err(e) if e.errno() == libc::EINTR => Meant::Nothing,
            Err(e) if e.errno() == libc::EAGAIN && again < AGAIN_MAX => Meant::Nothing,
            Err(e) => return End::Internal(format!("KVM_RUN: {e}")),
        };
        match meant {
            Meant::Nothing | Meant::Said(Said::Took(_)) => {}
            Meant::FirstWrite => {
                status.first_write();
            }
            Meant::Said(Said::Init) => status.step_once("init"),
            Meant::Said(Said::Program) => status.step_once("program"),
            Meant::Said(Said::End(end)) => return end,
            Meant::Reset => {
                return End::Fault(
                    "the guest's kernel restarted before its program had ended; see its console".into(),
                );
            }
        }
    }
}
