//! The ELF reader against files that nobody made on purpose.

mod support;

use isomark_vmm::elf::{HEAD, plan};
use isomark_vmm::layout::USER_START;
use proptest::prelude::*;
use support::{BASE, ENTRY, elf};

const LIMIT: u64 = 54 << 20;

fn check(file: &[u8]) -> Result<(), TestCaseError> {
    let head = &file[..file.len().min(HEAD)];
    if let Ok(program) = plan(head, file.len() as u64, LIMIT) {
        for segment in &program.segments {
            prop_assert!(segment.address >= USER_START);
            prop_assert!(segment.address + segment.len <= LIMIT);
            prop_assert!(segment.file_len <= segment.len);
            prop_assert!(segment.offset + segment.file_len <= file.len() as u64);
            prop_assert!(program.end >= segment.address + segment.len);
        }
        prop_assert!(program.entry >= USER_START && program.entry < LIMIT);
    }
    Ok(())
}

#[test]
fn a_good_file_is_planned() {
    let file = elf(&[0x0f, 0x0b]);
    let program = plan(&file[..HEAD], file.len() as u64, LIMIT).unwrap();
    assert_eq!((program.entry, program.phdr, program.phnum), (ENTRY, BASE + 64, 2));
    assert_eq!(program.segments.len(), 2);
    assert!(program.segments[0].mappable());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_answered(mut file in prop::collection::vec(any::<u8>(), 0..300), magic in any::<bool>()) {
        if magic {
            let good = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
            let len = file.len().min(8);
            file[..len].copy_from_slice(&good[..len]);
        }
        check(&file)?;
    }

    #[test]
    fn a_damaged_file_is_answered(damage in prop::collection::vec((0usize..176, any::<u8>()), 1..6), cut in 0usize..6000) {
        let mut file = elf(&[0x90; 1000]);
        for (at, byte) in damage {
            file[at] = byte;
        }
        file.truncate(cut);
        check(&file)?;
    }

    #[test]
    fn absurd_words_are_answered(at in 0usize..14, word in prop::sample::select(vec![0, 1, u64::MAX, 1 << 63, i64::MAX as u64, !0xfff, LIMIT])) {
        let mut file = elf(&[0x90; 100]);
        file[64 + at * 8..72 + at * 8].copy_from_slice(&word.to_le_bytes());
        check(&file)?;
    }
}
