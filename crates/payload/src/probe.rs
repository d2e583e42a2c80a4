//! Looking around from inside, and planting what others look for.
//!
//! A probe answers in every case: that something is not there or not allowed is its result. What is planted goes with
//! the payload, and the payload goes when the harness does (end of file).

use crate::job::hex;
use crate::sys::Fd;
use crate::sys::look::{
    Planted, Queue, host_name, listen_tcp, listen_unix, name_process, names, open_queue, plant_segment,
    reach_tcp, reach_unix, segment_word,
};
use crate::wire::{Probe, Reply, WireError};
use std::ffi::CString;

/// Most that one look into a file gives, in bytes: its hexadecimal text must fit a line.
pub(crate) const MOST: u64 = 1500;

fn c(text: &str) -> Result<CString, WireError> {
    CString::new(text).map_err(|_| WireError(format!("{text:?} holds a zero byte")))
}

/// `seen` or the kernel's word on why not.
fn seen<T>(result: &Result<T, i32>) -> Reply {
    let errno = result.as_ref().err().copied().unwrap_or(0);
    Reply::new().with("seen", u8::from(errno == 0)).with("errno", errno)
}

/// The answer to the job `probe`.
///
/// # Errors
/// If what is asked for cannot be asked for.
pub(crate) fn job(probe: &Probe) -> Result<Reply, WireError> {
    Ok(match probe {
        Probe::Peek { path, bytes } => {
            let read = peek(&c(path)?, (*bytes).min(MOST) as usize);
            seen(&read).with("text", hex(&read.unwrap_or_default()))
        }
        Probe::Process { name } => {
            let (found, count) = processes(name.as_bytes());
            seen(&found).with("count", count)
        }
        Probe::Unix { name } => seen(&reach_unix(name)),
        Probe::Tcp { port } => seen(&reach_tcp(u16::try_from(*port).unwrap_or(0))),
        Probe::Segment { id, word } => {
            let id = i32::try_from(*id).unwrap_or(-1);
            // Another segment of the same number is another segment.
            seen(&segment_word(id).and_then(|held| if held == *word { Ok(()) } else { Err(libc::EINVAL) }))
        }
        Probe::Queue { name } => seen(&open_queue(&c(name)?)),
        Probe::Host => {
            let name = host_name();
            seen(&name).with("text", hex(&name.unwrap_or_default()))
        }
    })
}

fn peek(path: &CString, bytes: usize) -> Result<Vec<u8>, i32> {
    let file = Fd::open(path)?;
    let mut text = vec![0; bytes];
    let mut have = 0;
    while have < bytes {
        match file.read(&mut text[have..]) {
            Ok(0) => break,
            Ok(got) => have += got,
            Err(_) => return Err(libc::EIO),
        }
    }
    text.truncate(have);
    Ok(text)
}

/// Whether a process of this name shows in `/proc`, and how many processes do.
fn processes(name: &[u8]) -> (Result<(), i32>, u64) {
    let (mut found, mut count) = (Err(libc::ENOENT), 0);
    let listed = names(c"/proc", |entry| {
        if entry.is_empty() || !entry.iter().all(u8::is_ascii_digit) {
            return;
        }
        count += 1;
        let path = [b"/proc/", entry, b"/comm"].concat();
        let comm = CString::new(path).ok().and_then(|path| peek(&path, 32).ok());
        if comm.is_some_and(|comm| comm.strip_suffix(b"\n").unwrap_or(&comm) == name) {
            found = Ok(());
        }
    });
    (listed.and(found), count)
}

/// Canaries; they go when this is dropped.
#[derive(Default)]
pub(crate) struct Canaries {
    listening: Vec<Fd>,
    segment: Option<Planted>,
    queue: Option<Queue>,
}

/// The answer to the job `plant`: where each canary is, or its error number; names are as [`crate::canary`] has them.
pub(crate) fn plant(token: u64) -> Result<(Canaries, Reply), WireError> {
    let mut all = Canaries::default();
    let named = name_process(&c(&crate::canary::process(token))?);
    let unix = listen_unix(&crate::canary::socket(token)).map(|fd| all.listening.push(fd));
    let tcp = listen_tcp().map(|(fd, port)| {
        all.listening.push(fd);
        u64::from(port)
    });
    let segment = plant_segment(token).map(|(segment, id)| {
        all.segment = Some(segment);
        u64::from(id.unsigned_abs())
    });
    let queue = Queue::plant(c(&crate::canary::queue(token))?).map(|queue| all.queue = Some(queue));
    let number = |result: Result<u64, i32>| result.map_or_else(|e| format!("e{e}"), |n| n.to_string());
    let reply = [("process", named.map(|()| 0)), ("unix", unix.map(|()| 0)), ("tcp", tcp)]
        .into_iter()
        .chain([("segment", segment), ("queue", queue.map(|()| 0))])
        .fold(Reply::new().with("token", token), |reply, (name, result)| reply.with(name, number(result)));
    Ok((all, reply))
}
