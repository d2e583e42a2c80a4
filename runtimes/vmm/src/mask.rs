//! What the guest is not to see of the host's CPU: bits of CPUID and parts of XCR0 that are taken away.
//!
//! Written by a harness as items between commas, all numbers in base 16: `LEAF:SUBLEAF:REGISTER:BITS` for bits of CPUID
//! (registers 0 to 3 are EAX to EDX), `xcr0:BITS` for register state. A state that is taken away is gone from leaf 0xd as well,
//! where KVM looks before it lets a guest enable one: its instructions fault, whatever a program believes.

use kvm_bindings::{CpuId, kvm_cpuid_entry2};

use crate::args::{refuse, shown};
use crate::error::Error;

/// Bits of one word of CPUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hidden {
    leaf: u32,
    subleaf: u32,
    register: u32,
    bits: u32,
}

/// All that is hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    hidden: Vec<Hidden>,
    states: u64,
}

/// XSAVE and OSXSAVE in CPUID.1:ECX.
const XSAVE: u32 = 1 << 26 | 1 << 27;
/// The leaf that describes register state.
const STATES: u32 = 0xd;
/// Bytes of the legacy area and the header of XSAVE (SDM vol. 1, 13.4).
const SAVED_LEAST: u32 = 576;

impl Mask {
    /// Reads the text of `--mask`.
    ///
    /// # Errors
    /// The item that is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut mask = Self::default();
        for item in text.split(|byte| *byte == b',') {
            let item = shown(item);
            let numbers = item.trim_start_matches("xcr0:").split(':');
            let numbers = numbers.map(|n| u64::from_str_radix(n, 16).ok()).collect::<Option<Vec<_>>>();
            let narrow = |n: u64| u32::try_from(n).ok();
            match numbers.as_deref() {
                Some(&[bits]) if item.starts_with("xcr0:") => mask.states |= bits,
                Some(&[leaf, subleaf, register, bits]) if register < 4 => {
                    let all = [leaf, subleaf, register, bits].map(narrow);
                    let [Some(leaf), Some(subleaf), Some(register), Some(bits)] = all else {
                        return refuse(format!("--mask {item:?} is too large a number"));
                    };
                    mask.hidden.push(Hidden { leaf, subleaf, register, bits });
                }
                _ => {
                    return refuse(format!(
                        "--mask {item:?} is neither LEAF:SUBLEAF:REGISTER:BITS nor xcr0:BITS"
                    ));
                }
            }
        }
        Ok(mask)
    }

    /// Whether nothing is hidden.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hidden.is_empty() && self.states == 0
    }

    /// Whether XSAVE itself is: then there is no XCR0.
    #[must_use]
    pub fn hides_xsave(&self) -> bool {
        self.hidden.iter().any(|h| (h.leaf, h.register) == (1, 2) && h.bits & XSAVE & (1 << 26) != 0)
    }

    /// The register state that remains of `states`.
    #[must_use]
    pub const fn states(&self, states: u64) -> u64 {
        states & !self.states
    }

    /// A number that differs where masks differ, for what a snapshot must agree with.
    #[must_use]
    pub fn identity(&self) -> u64 {
        let mut sum = crate::snapshot::crc::Crc::default();
        for h in &self.hidden {
            [h.leaf, h.subleaf, h.register, h.bits].iter().for_each(|word| sum.update(&word.to_le_bytes()));
        }
        sum.update(&self.states.to_le_bytes());
        if self.is_empty() { 0 } else { sum.value() }
    }

    /// Takes away what is hidden.
    pub fn apply(&self, cpuid: &mut CpuId) {
        if self.is_empty() {
            return;
        }
        let entries = cpuid.as_mut_slice();
        for entry in entries.iter_mut() {
            let here = |h: &&Hidden| (h.leaf, h.subleaf) == (entry.function, entry.index);
            let bits = self.hidden.iter().filter(here).map(|h| (h.register, h.bits)).collect::<Vec<_>>();
            for (register, bits) in bits {
                *word(entry, register) &= !bits;
            }
            if self.hides_xsave() && entry.function == 1 {
                entry.ecx &= !XSAVE;
            }
        }
        self.apply_states(entries);
    }

    /// Leaf 0xd without the states that are gone; the size of all that remain is as if the others had never been.
    fn apply_states(&self, entries: &mut [kvm_cpuid_entry2]) {
        let none = self.hides_xsave();
        let mut largest = SAVED_LEAST;
        for entry in entries.iter_mut().filter(|entry| entry.function == STATES && (none || entry.index > 1))
        {
            let gone = entry.index < 64 && self.states >> entry.index & 1 == 1;
            if none || gone {
                (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0);
            } else if entry.ecx & 1 == 0 {
                largest = largest.max(entry.ebx.saturating_add(entry.eax));
            }
        }
        for entry in entries.iter_mut().filter(|entry| (entry.function, entry.index) == (STATES, 0) && !none)
        {
            entry.eax &= !(self.states as u32);
            entry.edx &= !((self.states >> 32) as u32);
            entry.ecx = largest;
        }
    }
}

fn word(entry: &mut kvm_cpuid_entry2, register: u32) -> &mut u32 {
    match register {
        0 => &mut entry.eax,
        1 => &mut entry.ebx,
        2 => &mut entry.ecx,
        _ => &mut entry.edx,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(function: u32, index: u32, [eax, ebx, ecx, edx]: [u32; 4]) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 { function, index, eax, ebx, ecx, edx, ..kvm_cpuid_entry2::default() }
    }

    /// A CPU with everything: leaf 7 all ones, x87, SSE, AVX and AVX-512 state.
    fn host() -> CpuId {
        let entries = [
            entry(1, 0, [u32::MAX; 4]),
            entry(7, 0, [1, u32::MAX, u32::MAX, u32::MAX]),
            entry(7, 1, [u32::MAX; 4]),
            entry(0xd, 0, [0xe7, 2696, 2696, 0]),
            entry(0xd, 1, [0xf, 0, 0, 0]),
            entry(0xd, 2, [256, 576, 0, 0]),
            entry(0xd, 5, [64, 832, 0, 0]),
            entry(0xd, 6, [512, 896, 0, 0]),
            entry(0xd, 7, [1024, 1408, 0, 0]),
            entry(0xd, 9, [8, 2432, 0, 0]),
        ];
        CpuId::from_entries(&entries).unwrap()
    }

    fn masked(text: &str) -> Vec<kvm_cpuid_entry2> {
        let mut cpuid = host();
        Mask::parse(text.as_bytes()).unwrap().apply(&mut cpuid);
        cpuid.as_slice().to_vec()
    }

    fn at(all: &[kvm_cpuid_entry2], function: u32, index: u32) -> [u32; 4] {
        let found = all.iter().find(|e| (e.function, e.index) == (function, index)).unwrap();
        [found.eax, found.ebx, found.ecx, found.edx]
    }

    #[test]
    fn only_what_is_named_goes() {
        let all = masked("7:0:1:10000,7:1:0:20,7:0:2:2");
        assert_eq!(at(&all, 7, 0), [1, !0x10000, !2, u32::MAX]);
        assert_eq!(at(&all, 7, 1), [!0x20, u32::MAX, u32::MAX, u32::MAX]);
        assert_eq!(at(&all, 1, 0), [u32::MAX; 4]);
        assert_eq!(at(&all, 0xd, 0)[0], 0xe7);
    }

    #[test]
    fn a_state_is_gone_from_the_leaf_that_kvm_asks() {
        let all = masked("7:0:1:10000,xcr0:e0");
        // PKRU (9) remains and lies behind what is gone: its place counts, not the number of states.
        assert_eq!(at(&all, 0xd, 0), [0x7, 2696, 2440, 0]);
        assert_eq!((at(&all, 0xd, 5), at(&all, 0xd, 7)), ([0; 4], [0; 4]));
        assert_eq!((at(&all, 0xd, 2), at(&all, 0xd, 1)), ([256, 576, 0, 0], [0xf, 0, 0, 0]));
        assert_eq!(Mask::parse(b"xcr0:e0").unwrap().states(0xe7), 7);
    }

    #[test]
    fn without_xsave_there_is_no_state_at_all() {
        let mask = Mask::parse(b"1:0:2:4000000,xcr0:fffffffffffffffc").unwrap();
        assert!(mask.hides_xsave() && !Mask::parse(b"1:0:2:1").unwrap().hides_xsave());
        let all = masked("1:0:2:4000000,xcr0:fffffffffffffffc");
        assert_eq!(at(&all, 1, 0)[2], !XSAVE);
        assert!((0..10).filter(|i| ![3, 4, 8].contains(i)).all(|i| at(&all, 0xd, i) == [0; 4]));
    }

    #[test]
    fn masks_differ_by_what_they_hide() {
        let of = |text: &str| Mask::parse(text.as_bytes()).unwrap().identity();
        assert_eq!(Mask::default().identity(), 0);
        let all = [of("1:0:2:1"), of("1:0:2:2"), of("7:0:1:1"), of("1:0:2:1,xcr0:4"), of("xcr0:4")];
        assert!(all.iter().enumerate().all(|(i, a)| *a != 0 && all[..i].iter().all(|b| a != b)));
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for text in
            ["", "1", "1:0:2", "1:0:4:1", "1:0:2:x", "xcr0:", "xcr0:1:2", "1:0:2:1,", "1:0:2:100000000"]
        {
            let error = Mask::parse(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains("--mask"), "{text:?}: {error}");
        }
    }
}
