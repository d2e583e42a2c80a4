//! Descriptor 0 on its way into the guest: a thread that reads, encodes, and feeds the wire as fast as it is taken.

use std::io::ErrorKind;

use super::board::{Incoming, Wire};
use super::line::{END, WINDOW, encode};
use crate::sys::host;

/// Most clear bytes read at once; encoded they may be twice as many.
const PIECE: usize = 1024;

/// Carries everything, then the end.
pub fn carry(wire: &Wire<'_>) {
    let mut clear = [0; PIECE];
    let mut line = Vec::with_capacity(2 * PIECE);
    loop {
        let end = match host::read_bytes(0, &mut clear) {
            Ok(0) => true,
            Ok(count) => {
                encode(&clear[..count], &mut line);
                false
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            // Input that cannot be read has ended.
            Err(_) => true,
        };
        if end {
            line.extend(END);
        }
        feed(wire, &line);
        line.clear();
        if end {
            return;
        }
    }
}

fn feed(wire: &Wire<'_>, mut line: &[u8]) {
    let mut held = wire.lock();
    while !line.is_empty() {
        match room(&held).min(line.len()) {
            0 => held = wire.wait(held),
            count => {
                // It has said that there is room for as many; the interrupt is KVM's business.
                let _ = held.uart.enqueue_raw_bytes(&line[..count]);
                held.under_way += count;
                line = &line[count..];
            }
        }
    }
}

fn room(held: &Incoming<'_>) -> usize {
    if !held.open {
        return 0;
    }
    held.uart.fifo_capacity().min(WINDOW.saturating_sub(held.under_way))
}
