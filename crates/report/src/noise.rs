//! During which blocks was the host busy with something else?
//!
//! Blocks are flagged, never dropped: results are shown with and without them. Thresholds: the project's
//! statistics, item 10.

use isomark_core::record::Block;

/// Share of CPU time stolen by the hypervisor above which a block is noisy.
pub const STEAL: f64 = 0.05;
/// Share of time in which some task waited for a CPU above which a block is noisy.
pub const PSI_CPU: f64 = 0.20;

/// Whether the host was too busy with something else during a block.
#[must_use]
pub fn is_noisy(block: &Block) -> bool {
    block.steal > STEAL || block.psi_cpu.is_some_and(|share| share > PSI_CPU)
}

/// Numbers of the noisy blocks in ascending order, each once.
#[must_use]
pub fn noisy_blocks(blocks: &[Block]) -> Vec<u32> {
    let mut all: Vec<u32> = blocks.iter().filter(|block| is_noisy(block)).map(|block| block.block).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_steal_and_waiting_but_not_what_was_not_measured() {
        let quiet = Block { block: 0, psi_cpu: Some(0.20), steal: 0.05, ..Block::default() };
        let stolen = Block { block: 7, steal: 0.06, ..Block::default() };
        let waiting = Block { block: 3, psi_cpu: Some(0.21), ..Block::default() };
        assert_eq!(noisy_blocks(&[quiet, stolen, waiting, stolen]), [3, 7]);
    }
}
