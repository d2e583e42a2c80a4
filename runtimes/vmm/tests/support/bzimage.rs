//! A file that has everything a bzImage's header promises (Documentation/arch/x86/boot.rst), and code that is none.

/// The file.
pub(crate) fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 512 * 5 + 1600];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[4]);
    put(0x1f4, &100_u32.to_le_bytes());
    put(0x1fe, &0xaa55_u16.to_le_bytes());
    put(0x202, b"HdrS");
    put(0x206, &0x20f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x234, &[1]);
    put(0x236, &1_u16.to_le_bytes());
    put(0x258, &(16_u64 << 20).to_le_bytes());
    put(0x260, &(8_u32 << 20).to_le_bytes());
    file
}
