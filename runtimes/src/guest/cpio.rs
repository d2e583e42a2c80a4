//! An archive in the "newc" format, the one that Linux unpacks into its first root (buffer-format.rst).
//!
//! Nothing in it depends on time, user or host: the same entries are the same bytes.

/// The kinds of entries, as bits of `st_mode`.
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const DEVICE: u32 = 0o020_000;

/// An archive being written.
#[derive(Debug, Default)]
pub(super) struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    /// A file.
    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entry(name, REGULAR | mode, (0, 0), content);
    }

    /// A directory; its parents come before it.
    pub(super) fn directory(&mut self, name: &str, mode: u32) {
        self.entry(name, DIRECTORY | mode, (0, 0), &[]);
    }

    /// A character device.
    pub(super) fn device(&mut self, name: &str, mode: u32, number: (u32, u32)) {
        self.entry(name, DEVICE | mode, number, &[]);
    }

    /// The archive, with its end mark.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entries = u32::MAX;
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        // Two names of one file share a number; no two entries here do.
        self.entries = self.entries.wrapping_add(1);
        let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_len = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let fields = [self.entries, mode, 0, 0, 1, 0, len, 0, 0, device.0, device.1, name_len, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// What an archive holds, name by name: the reading half, for checks.
#[cfg(test)]
pub(super) fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        assert_eq!(&bytes[..6], b"070701");
        let field = |i: usize| {
            let text = std::str::from_utf8(&bytes[6 + i * 8..14 + i * 8]).unwrap();
            usize::from_str_radix(text, 16).unwrap()
        };
        let (mode, len, name_len) = (field(1), field(6), field(11));
        let name = String::from_utf8(bytes[110..110 + name_len - 1].to_vec()).unwrap();
        let start = (110 + name_len).next_multiple_of(4);
        if name == "TRAILER!!!" {
            return all;
        }
        all.push((name, u32::try_from(mode).unwrap(), bytes[start..start + len].to_vec()));
        bytes = &bytes[(start + len).next_multiple_of(4)..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_is_the_same_every_time() {
        let build = || {
            let mut cpio = Cpio::default();
            cpio.directory("dev", 0o755);
            cpio.device("dev/null", 0o666, (1, 3));
            cpio.file("a", 0o644, b"12345");
            cpio.file("empty", 0o600, b"");
            cpio.finish()
        };
        let bytes = build();
        assert_eq!(bytes, build());
        let entries = read(&bytes);
        assert_eq!(
            entries.iter().map(|e| e.0.as_str()).collect::<Vec<_>>(),
            ["dev", "dev/null", "a", "empty"]
        );
        assert_eq!(entries[0].1, 0o040_755);
        assert_eq!((entries[2].1, entries[2].2.as_slice()), (0o100_644, b"12345".as_slice()));
        assert!(bytes.len().is_multiple_of(4));
    }

    #[test]
    fn busybox_unpacks_it() {
        let mut cpio = Cpio::default();
        cpio.directory("d", 0o755);
        let content: Vec<u8> = (0..70_001_u32).map(|i| (i % 251) as u8).collect();
        cpio.file("d/f", 0o640, &content);
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("archive");
        std::fs::write(&archive, cpio.finish()).unwrap();
        let unpacked = std::process::Command::new("busybox")
            .args(["cpio", "-i", "-d", "-F", "archive"])
            .current_dir(dir.path())
            .output();
        match unpacked {
            Ok(output) if output.status.success() => {
                assert_eq!(std::fs::read(dir.path().join("d/f")).unwrap(), content);
            }
            other => {
                let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
                assert!(!required.split(',').any(|word| word == "busybox"), "busybox is required: {other:?}");
                eprintln!("SKIPPED: busybox cannot unpack an archive here");
            }
        }
    }
}
