//! Which instruction-set paths this CPU reports and which of them the operating system lets us use.
//!
//! Reported is CPUID's word; enabled also needs OSXSAVE and the register state in XCR0, because a vector
//! instruction without saved state faults. Paths are chosen from what is enabled only.

use crate::sys;
use crate::wire::{Isa, Reply, WireError};

const OSXSAVE: u32 = 1 << 27;
/// SSE and AVX state.
const YMM: u64 = 0x6;
/// The same, and the three parts of AVX-512 state.
const ZMM: u64 = 0xe6;

/// Whether all bits of `mask` are set.
const fn has(word: u32, mask: u32) -> bool {
    word & mask == mask
}

/// What CPUID reports: AVX2 with FMA, and AVX-512 with the parts that the path uses.
fn reported() -> (bool, bool) {
    let [_, _, ecx, _] = sys::cpuid(1, 0);
    let ebx = if sys::cpuid(0, 0)[0] >= 7 { sys::cpuid(7, 0)[1] } else { 0 };
    let avx2 = has(ecx, 1 << 28 | 1 << 12) && has(ebx, 1 << 5);
    // F, DQ, CD, BW, VL.
    let avx512 = avx2 && has(ebx, 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30 | 1 << 31);
    (avx2, avx512)
}

/// What may be used.
fn enabled() -> (bool, bool) {
    let (avx2, avx512) = reported();
    let state = sys::xcr0(sys::cpuid(1, 0)[2] & OSXSAVE != 0);
    (avx2 && state & YMM == YMM, avx512 && state & ZMM == ZMM)
}

/// The path to run: the best one for [`Isa::Auto`], the asked-for one if it is there.
///
/// # Errors
/// If the path is not available in this instance.
pub(crate) fn resolve(isa: Isa) -> Result<Isa, WireError> {
    choose(isa, enabled())
}

fn choose(isa: Isa, (avx2, avx512): (bool, bool)) -> Result<Isa, WireError> {
    match isa {
        Isa::Auto if avx512 => Ok(Isa::Avx512),
        Isa::Auto if avx2 => Ok(Isa::Avx2),
        Isa::Auto | Isa::Baseline => Ok(Isa::Baseline),
        Isa::Avx2 if avx2 => Ok(isa),
        Isa::Avx512 if avx512 => Ok(isa),
        _ => {
            let there = words((avx2, avx512));
            Err(WireError(format!("isa {isa} is not available in this instance, which has {there}")))
        }
    }
}

/// All paths that may be used here.
#[cfg(test)]
pub(crate) fn available() -> Vec<Isa> {
    [Isa::Baseline, Isa::Avx2, Isa::Avx512].into_iter().filter(|&isa| resolve(isa).is_ok()).collect()
}

fn words((avx2, avx512): (bool, bool)) -> &'static str {
    match (avx2, avx512) {
        (_, true) => "baseline,avx2,avx512",
        (true, _) => "baseline,avx2",
        _ => "baseline",
    }
}

/// Whether the SHA extensions are there, together with what code that uses them needs besides.
pub(crate) fn has_sha() -> bool {
    // SSSE3 and SSE4.1 in leaf 1, SHA in leaf 7.
    sys::cpuid(0, 0)[0] >= 7
        && has(sys::cpuid(1, 0)[2], 1 << 9 | 1 << 19)
        && has(sys::cpuid(7, 0)[1], 1 << 29)
}

/// Registers as text without blanks: the wire separates fields by blanks.
fn text(registers: &[u32]) -> String {
    let bytes: Vec<u8> = registers.iter().flat_map(|r| r.to_le_bytes()).collect();
    let text = String::from_utf8_lossy(&bytes);
    let kept = text.split(|c: char| !c.is_ascii_graphic()).filter(|w| !w.is_empty());
    let text = kept.collect::<Vec<_>>().join("_");
    if text.is_empty() { "unknown".into() } else { text }
}

fn brand() -> String {
    if sys::cpuid(0x8000_0000, 0)[0] < 0x8000_0004 {
        return "unknown".into();
    }
    text(&[0x8000_0002, 0x8000_0003, 0x8000_0004].map(|leaf| sys::cpuid(leaf, 0)).concat())
}

/// The counter's rate as CPUID leaf 15h tells it, 0 if it does not.
fn told_hz() -> u64 {
    if sys::cpuid(0, 0)[0] < 0x15 {
        return 0;
    }
    let [denominator, numerator, crystal, _] = sys::cpuid(0x15, 0).map(u64::from);
    (crystal * numerator).checked_div(denominator).unwrap_or(0)
}

/// The words of CPUID that tell of instructions, as `LEAF:SUBLEAF:REGISTER.WORD`; all but the register's number in base 16.
fn words_of_cpuid() -> String {
    let seven = sys::cpuid(0, 0)[0] >= 7;
    let seven_one = seven && sys::cpuid(7, 0)[0] >= 1;
    let extended = sys::cpuid(0x8000_0000, 0)[0] > 0x8000_0000;
    let places: [(u32, u32, usize, bool); 7] = [
        (1, 0, 2, true),
        (7, 0, 1, seven),
        (7, 0, 2, seven),
        (7, 0, 3, seven),
        (7, 1, 0, seven_one),
        (7, 1, 3, seven_one),
        (0x8000_0001, 0, 2, extended),
    ];
    let word = |(leaf, sub, register, there): (u32, u32, usize, bool)| {
        let word = if there { sys::cpuid(leaf, sub)[register] } else { 0 };
        format!("{leaf:x}:{sub:x}:{register}.{word:x}")
    };
    places.map(word).join(",")
}

/// The answer to the job `features`.
pub(crate) fn features() -> Reply {
    let [_, b, c, d] = sys::cpuid(0, 0);
    let [signature, _, ecx, _] = sys::cpuid(1, 0);
    let extended = sys::cpuid(0x8000_0000, 0)[0];
    let leaf = |l: u32| if extended >= l { sys::cpuid(l, 0)[3] } else { 0 };
    let guest = ecx >> 31 == 1;
    let hypervisor = if guest { text(&sys::cpuid(0x4000_0000, 0)[1..]) } else { "none".into() };
    Reply::new()
        .with("reported", words(reported()))
        .with("enabled", words(enabled()))
        .with("cpuid", words_of_cpuid())
        .with("xcr0", format_args!("{:#x}", sys::xcr0(ecx & OSXSAVE != 0)))
        .with("vendor", text(&[b, d, c]))
        .with("brand", brand())
        .with("signature", format_args!("{signature:#x}"))
        .with("hypervisor", hypervisor)
        .with("sha", u8::from(has_sha()))
        .with("tsc_invariant", leaf(0x8000_0007) >> 8 & 1)
        .with("rdtscp", leaf(0x8000_0001) >> 27 & 1)
        .with("tsc_told_hz", told_hz())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn chooses(asked: Isa, enabled: (bool, bool), path: Option<Isa>) {
        assert_eq!(choose(asked, enabled).ok(), path, "{asked} of {enabled:?}");
    }

    #[test]
    fn auto_takes_the_best_and_a_forced_path_is_never_replaced() {
        for (enabled, best) in
            [((false, false), Isa::Baseline), ((true, false), Isa::Avx2), ((true, true), Isa::Avx512)]
        {
            chooses(Isa::Auto, enabled, Some(best));
            chooses(Isa::Baseline, enabled, Some(Isa::Baseline));
        }
        chooses(Isa::Avx2, (true, true), Some(Isa::Avx2));
        chooses(Isa::Avx2, (false, false), None);
        chooses(Isa::Avx512, (true, false), None);
        let error = choose(Isa::Avx512, (true, false)).expect_err("must be refused").to_string();
        assert_eq!(error, "isa avx512 is not available in this instance, which has baseline,avx2");
    }

    #[test]
    fn features_are_words_without_blanks() {
        let told = features().to_string();
        let again = Reply::parse(&told).expect("features make a reply");
        assert_eq!(again.to_string(), told);
        assert_eq!(text(&[0x2044_4d41, 0x4350_4520, 0]), "AMD_EPC");
    }
}
