//! How much work one iteration of a kernel is.
//!
//! Analytic functions of the size, and of the path only for `fma-peak`, whose size is per lane. Conventions are
//! those of LINPACK, STREAM and FFTW: a faster algorithm is not given fewer operations.

use crate::wire::Isa;

/// Width of a page on x86-64: what `touch`, `mmap` and `first-touch` step by.
pub const PAGE: u64 = 4096;

/// Size of each mapping of the `mmap` kernel.
pub const MAPPING: u64 = 64 << 10;

/// `fma-peak` does whole rounds: a common multiple of the accumulators of all paths.
pub const PEAK_ROUND: u64 = 48;

/// How many doubles one vector register of a path holds.
#[must_use]
pub const fn lanes(isa: Isa) -> u64 {
    match isa {
        Isa::Baseline => 2,
        Isa::Avx2 => 4,
        Isa::Avx512 | Isa::Auto => 8,
    }
}

/// Independent accumulators of `fma-peak`: at least latency × ports (4 × 2, and 6 × 2 for SSE2's separate
/// multiply and add) and no more than the register file holds beside two constants.
#[must_use]
pub const fn peak_chains(isa: Isa) -> u64 {
    match isa {
        Isa::Baseline | Isa::Avx2 => 12,
        Isa::Avx512 | Isa::Auto => 16,
    }
}

/// Updates in one iteration of `random`: short enough for many windows, the table is walked over many of them.
#[must_use]
pub const fn random_updates(entries: u64) -> u64 {
    if entries < 1 << 16 { entries } else { 1 << 16 }
}

/// Columns of the grid behind `spmv`; a last row may be shorter.
#[must_use]
pub const fn grid_width(rows: u64) -> u64 {
    if rows == 0 { 1 } else { rows.isqrt() }
}

/// Entries of the five-point Laplacian on `rows` grid points: the diagonal, and twice each neighbour pair.
#[must_use]
pub const fn laplacian_entries(rows: u64) -> u64 {
    let width = grid_width(rows);
    let beside = rows - rows.div_ceil(width);
    let below = rows - if width < rows { width } else { rows };
    rows + 2 * beside + 2 * below
}

/// Work units of one iteration at a resolved path; `None` for a kernel that is not in the catalog. Saturates.
#[must_use]
pub fn work(kernel: &str, n: u64, isa: Isa) -> Option<u64> {
    let wide = u128::from(n);
    let work = match kernel {
        "dgemm" => wide.saturating_pow(3).saturating_mul(2),
        "fma-peak" => 2 * u128::from(lanes(isa)) * wide.div_ceil(PEAK_ROUND.into()) * u128::from(PEAK_ROUND),
        "lu" => {
            (wide.saturating_pow(3).saturating_mul(2) / 3).saturating_add((wide * wide).saturating_mul(2))
        }
        "fft" => 5 * wide * u128::from(n.checked_ilog2().unwrap_or(0)),
        "nbody" => (wide * wide).saturating_mul(20),
        "spmv" => 2 * u128::from(laplacian_entries(n)),
        "copy" | "scale" => 16 * wide,
        "add" | "triad" => 24 * wide,
        "random" => random_updates(n).into(),
        "pi" | "sha256" | "sort" | "getpid" | "pipe" | "mmap" | "fork" => wide,
        "first-touch" => wide.div_ceil(PAGE.into()) * u128::from(PAGE),
        _ => return None,
    };
    Some(work.try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn counts(kernel: &str, n: u64, expected: u64) {
        assert_eq!(work(kernel, n, Isa::Avx2), Some(expected), "{kernel} {n}");
    }

    #[test]
    fn work_counts_are_the_conventions() {
        counts("dgemm", 256, 33_554_432);
        counts("lu", 512, 90_002_773);
        counts("fft", 1 << 16, 5_242_880);
        counts("fma-peak", 48, 2 * 4 * 48);
        counts("fma-peak", 49, 2 * 4 * 96);
        counts("nbody", 1024, 20_971_520);
        counts("triad", 1 << 23, 24 << 23);
        counts("copy", 10, 160);
        counts("first-touch", 4097, 8192);
        counts("random", 1 << 23, 1 << 16);
        counts("random", 8, 8);
        assert_eq!(work("knitting", 1, Isa::Avx2), None);
        assert_eq!(work("dgemm", u64::MAX, Isa::Avx2), Some(u64::MAX));
    }

    #[test]
    fn every_kernel_of_the_catalog_has_a_count() {
        for kernel in crate::KERNELS {
            assert!(work(kernel.name, kernel.default_n, Isa::Baseline) > Some(0), "{}", kernel.name);
        }
    }

    #[test]
    fn the_laplacian_counts_match_a_walk_over_the_grid() {
        for rows in 1..60 {
            let width = grid_width(rows);
            let entries = (0..rows).map(|i| {
                let left = u64::from(i % width != 0);
                let right = u64::from(i % width + 1 != width && i + 1 < rows);
                1 + left + right + u64::from(i >= width) + u64::from(i + width < rows)
            });
            assert_eq!(entries.sum::<u64>(), laplacian_entries(rows), "{rows} rows");
        }
    }
}
