//! How noisy the host was during a block: pressure, steal, foreign load.
//!
//! Read before and after a block, never within. A block is only flagged by these numbers; nothing is dropped.

use std::fs;

use isomark_core::clock::monotonic_ns;
use isomark_core::record::Block;

/// Counters at the beginning of a block.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    at_ns: u64,
    pressure: [Option<u64>; 3],
    cpu: Cpu,
}

/// `/proc/stat` and our own share of it, in clock ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Cpu {
    total: u64,
    busy: u64,
    steal: u64,
    own: u64,
}

impl Noise {
    /// Reads the counters.
    #[must_use]
    pub fn begin() -> Self {
        Self { at_ns: monotonic_ns(), pressure: ["cpu", "memory", "io"].map(pressure), cpu: cpu() }
    }

    /// The differences since.
    #[must_use]
    pub fn end(&self, block: u32) -> Block {
        let now = Self::begin();
        let took_ns = (now.at_ns - self.at_ns).max(1);
        let waited = |i: usize| {
            let us = now.pressure[i]?.checked_sub(self.pressure[i]?)?;
            Some((us as f64 * 1e3 / took_ns as f64).min(1.0))
        };
        let ticks = |of: fn(&Cpu) -> u64| of(&now.cpu).saturating_sub(of(&self.cpu)) as f64;
        let total = ticks(|c| c.total).max(1.0);
        Block {
            block,
            at_ns: self.at_ns,
            took_ns,
            psi_cpu: waited(0),
            psi_memory: waited(1),
            psi_io: waited(2),
            steal: ticks(|c| c.steal) / total,
            foreign: ((ticks(|c| c.busy) - ticks(|c| c.own)) / total).clamp(0.0, 1.0),
            load: load(),
        }
    }
}

/// Total stall of `/proc/pressure/NAME` in µs (Documentation/accounting/psi.rst).
fn pressure(name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/pressure/{name}")).ok()?;
    let some = text.lines().find(|line| line.starts_with("some"))?;
    some.rsplit_once("total=")?.1.trim().parse().ok()
}

fn cpu() -> Cpu {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // user nice system idle iowait irq softirq steal; guest time is part of user already (proc_stat(5)).
    let f = fields.take(8).filter_map(|word| word.parse::<u64>().ok()).collect::<Vec<_>>();
    let at = |i: usize| f.get(i).copied().unwrap_or(0);
    let busy = at(0) + at(1) + at(2) + at(5) + at(6);
    Cpu { total: f.iter().sum(), busy, steal: at(7), own: own_ticks() }
}

/// CPU ticks of this process and its reaped children (`/proc/self/stat`, fields 14 to 17).
fn own_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after.split_whitespace().skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum()
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_shares() {
        let noise = Noise::begin();
        let busy = (0..20_000_000_u64).fold(0, |sum: u64, n| sum.wrapping_add(n * n));
        let block = noise.end(3);
        assert!(busy != 1 && block.block == 3 && block.took_ns > 0);
        for share in [block.steal, block.foreign, block.psi_cpu.unwrap_or(0.0)] {
            assert!((0.0..=1.0).contains(&share), "{block:?}");
        }
    }
}
