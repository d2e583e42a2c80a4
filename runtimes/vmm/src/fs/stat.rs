//! What `stat`, `statx` and `getdents64` say about a node, byte for byte (linux/stat.h, getdents(2)).
//!
//! Only encodings: nothing here changes the tree.

use super::{Device, Kind, Node, NodeId, Time};

/// What the stat family tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Inode number.
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Number of names.
    pub links: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Device number, for devices.
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// Access, modification, status change.
    pub times: [Time; 3],
}

/// The only file system's device number.
const DEV: u64 = 1;

impl Stat {
    /// Of a node of the tree.
    #[must_use]
    pub fn of(id: NodeId, node: &Node) -> Self {
        let size = match &node.kind {
            Kind::File(data) | Kind::Link(data) => data.len() as u64,
            Kind::Dir { entries, .. } => entries.len() as u64 * 32,
            Kind::Device(_) => 0,
        };
        let mode = u32::from(kind_bits(&node.kind)) << 12 | node.mode;
        let rdev = if let Kind::Device(device) = node.kind { number(device) } else { 0 };
        Self { ino: id as u64 + 1, mode, links: node.links, owner: node.owner, rdev, size, times: node.times }
    }

    /// Of a pipe, and of descriptors 0 to 2, which look like pipes whatever they are on the host.
    #[must_use]
    pub fn pipe(ino: u64) -> Self {
        let times = [(0, 0); 3];
        Self { ino, mode: libc::S_IFIFO | 0o600, links: 1, owner: (0, 0), rdev: 0, size: 0, times }
    }

    /// As `struct stat` of x86-64.
    #[must_use]
    pub fn encode(&self) -> [u8; 144] {
        let mut out = [0; 144];
        let mut put = |at: usize, word: u64| out[at..at + 8].copy_from_slice(&word.to_le_bytes());
        put(0, DEV);
        put(8, self.ino);
        put(16, self.links.into());
        put(24, u64::from(self.owner.0) << 32 | u64::from(self.mode));
        put(32, self.owner.1.into());
        put(40, self.rdev);
        put(48, self.size);
        put(56, 4096);
        put(64, self.size.div_ceil(512));
        for (i, (seconds, nanos)) in self.times.iter().enumerate() {
            put(72 + i * 16, *seconds as u64);
            put(80 + i * 16, *nanos as u64);
        }
        out
    }

    /// As `struct statx` with the basic fields.
    #[must_use]
    pub fn encode_statx(&self) -> [u8; 256] {
        let mut out = [0; 256];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &0x7ff_u32.to_le_bytes());
        put(4, &4096_u32.to_le_bytes());
        put(16, &self.links.to_le_bytes());
        put(20, &self.owner.0.to_le_bytes());
        put(24, &self.owner.1.to_le_bytes());
        put(28, &(self.mode as u16).to_le_bytes());
        put(32, &self.ino.to_le_bytes());
        put(40, &self.size.to_le_bytes());
        put(48, &self.size.div_ceil(512).to_le_bytes());
        let [access, modify, change] = self.times;
        for (at, (seconds, nanos)) in [(64, access), (96, change), (112, modify)] {
            put(at, &seconds.to_le_bytes());
            put(at + 8, &(nanos as u32).to_le_bytes());
        }
        put(128, &((self.rdev >> 8) as u32).to_le_bytes());
        put(132, &((self.rdev & 0xff) as u32).to_le_bytes());
        put(140, &(DEV as u32).to_le_bytes());
        out
    }
}

/// The type as in `d_type`; the upper four bits of a mode are the same number.
#[must_use]
pub const fn kind_bits(kind: &Kind) -> u8 {
    match kind {
        Kind::Dir { .. } => libc::DT_DIR,
        Kind::File(_) => libc::DT_REG,
        Kind::Link(_) => libc::DT_LNK,
        Kind::Device(Device::Std(_)) => libc::DT_FIFO,
        Kind::Device(_) => libc::DT_CHR,
    }
}

/// Linux' numbers for the memory devices (Documentation/admin-guide/devices.txt).
const fn number(device: Device) -> u64 {
    match device {
        Device::Null => 0x103,
        Device::Zero => 0x105,
        Device::Full => 0x107,
        Device::Random => 0x109,
        Device::Std(_) => 0,
    }
}

/// One `linux_dirent64`, padded to eight bytes.
#[must_use]
pub fn dirent(ino: u64, next: u64, kind: u8, name: &[u8]) -> Vec<u8> {
    let len = (19 + name.len() + 1).next_multiple_of(8);
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(&ino.to_le_bytes());
    out.extend_from_slice(&next.to_le_bytes());
    out.extend_from_slice(&(len as u16).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(name);
    out.resize(len, 0);
    out
}
