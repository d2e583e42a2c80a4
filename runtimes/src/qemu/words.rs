//! QEMU's command line: which machine, which accelerator, and what is said to the kernel because of it.
//!
//! Data and one function; nothing here starts anything.

use std::path::{Path, PathBuf};

use isomark_core::Features;
use isomark_core::features::Feature;

/// A machine type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    /// A minimal machine without firmware tables and without PCI.
    Microvm,
    /// A PC of 2009, PCI Express.
    Q35,
    /// A PC of 1996.
    Pc,
}

/// Who runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accel {
    /// QEMU's own translator.
    Tcg,
    /// The host's KVM.
    Kvm,
}

impl Machine {
    pub(super) const ALL: [Self; 3] = [Self::Microvm, Self::Q35, Self::Pc];

    /// Its word in variants and on QEMU's command line.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Microvm => "microvm",
            Self::Q35 => "q35",
            Self::Pc => "pc",
        }
    }
}

impl Accel {
    pub(super) const ALL: [Self; 2] = [Self::Tcg, Self::Kvm];

    /// Its word in variants and on QEMU's command line.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
        }
    }

    /// The guest's CPU: everything that the accelerator can do.
    const fn cpu(self) -> &'static str {
        match self {
            Self::Tcg => "max",
            Self::Kvm => "host",
        }
    }
}

/// What a machine is made of.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) machine: Machine,
    pub(super) accel: Accel,
    /// Ticks of the host's time-stamp counter per second.
    pub(super) tsc_hz: u64,
    /// Whether a disk holds the root, with an init of its own, and not the initramfs.
    pub(super) disk: bool,
    /// Whether the program's input and output go through the second serial port.
    pub(super) wired: bool,
    /// Features of its CPU that the guest does not get, as QEMU takes them behind the model's name.
    pub(super) hidden: String,
}

/// Features by QEMU's names. What no QEMU before 9 knows is not named: an emulated CPU does not have it, and where a host's
/// has, the payload finds it.
pub(super) fn hidden(cpu: &Features) -> String {
    let name = |feature: &Feature| match feature.name {
        "lahf" => Some("lahf-lm"),
        "sha" => Some("sha-ni"),
        "avxvnni" => Some("avx-vnni"),
        "avx512vpopcntdq" => Some("avx512-vpopcntdq"),
        "avx512vp2intersect" => Some("avx512-vp2intersect"),
        "avx512fp16" => Some("avx512-fp16"),
        "avx512bf16" => Some("avx512-bf16"),
        "amxtile" => Some("amx-tile"),
        "amxbf16" => Some("amx-bf16"),
        "amxint8" => Some("amx-int8"),
        "sha512" | "sm3" | "sm4" | "avxifma" | "avxvnniint8" | "avxneconvert" | "avxvnniint16" | "avx10" => {
            None
        }
        same => Some(same),
    };
    cpu.removed().iter().filter_map(name).map(|name| format!(",-{name}")).collect()
}

impl Words {
    /// The kernel's command line. Mitigations stay as the kernel has them.
    pub(super) fn command_line(&self) -> String {
        let mut line = "console=ttyS0 quiet panic=-1".to_owned();
        if self.disk {
            line += " root=/dev/vda rw";
        }
        match self.machine {
            // Without tables the restart that QEMU ends with is a triple fault.
            Machine::Microvm => line += " reboot=t",
            Machine::Q35 | Machine::Pc => {}
        }
        if self.accel == Accel::Tcg {
            // The kernel counts ticks of a timer while it spins; a translator that has to wait for its host delivers none, and
            // the kernel panics ("IO-APIC + timer doesn't work").
            line += " no_timer_check";
        }
        if (self.machine, self.accel) == (Machine::Microvm, Accel::Tcg) {
            // This machine has but one timer to calibrate against, and on a busy host that goes wrong one time in two: the
            // emulated counter runs at the host's rate.
            line += &format!(" tsc_early_khz={}", self.tsc_hz / 1000);
        }
        line
    }

    /// The arguments that are the same for every instance: for the identity.
    pub(super) fn fixed(&self) -> Vec<String> {
        let machine = match self.machine {
            Machine::Microvm => "microvm,acpi=off,isa-serial=off",
            Machine::Q35 => "q35",
            Machine::Pc => "pc",
        };
        let wire = if self.wired { "stdio,id=wire,signal=off" } else { "null,id=wire" };
        let cpu = format!("{}{}", self.accel.cpu(), self.hidden);
        let words = [
            ["-machine", machine],
            ["-accel", self.accel.word()],
            ["-cpu", cpu.as_str()],
            ["-smp", "1"],
            ["-display", "none"],
            ["-chardev", "file,id=console,path=/dev/fd/2,append=on"],
            ["-chardev", wire],
            ["-device", "isa-serial,index=0,chardev=console"],
            ["-device", "isa-serial,index=1,chardev=wire"],
            ["-device", "isa-debugcon,iobase=0x402,chardev=control"],
            ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
        ];
        let lone = ["-nodefaults", "-no-user-config", "-no-reboot"];
        lone.into_iter().chain(words.into_iter().flatten()).map(str::to_owned).collect()
    }

    /// All arguments of one instance. `control` is the descriptor of the control pipe.
    pub(super) fn all(
        &self,
        memory: u64,
        (kernel, initrd, disk): (&Path, &Path, Option<&(PathBuf, &str)>),
        control: i32,
    ) -> Vec<String> {
        let mut words = self.fixed();
        let own = [
            ("-chardev", format!("file,id=control,path=/dev/fd/{control},append=on")),
            ("-m", format!("{}M", memory >> 20)),
            // A comma in a path is doubled only inside of key=value lists, which these are not.
            ("-kernel", kernel.display().to_string()),
            ("-initrd", initrd.display().to_string()),
            ("-append", self.command_line()),
        ];
        // The chardev must be known before the device that names it.
        words.splice(0..0, own.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
        if let Some((path, format)) = disk {
            // What the guest syncs is on the host's disk: QEMU's default, said aloud.
            let drive = format!("if=none,id=disk,format={format},cache=writeback,file={}", doubled(path));
            let pairs = [("-drive", drive), ("-device", "virtio-blk-pci,drive=disk".into())];
            words.extend(pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
        }
        words
    }
}

/// A path as a value among others: a comma in it is doubled.
fn doubled(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Words {
        let hidden = String::new();
        Words { machine: Machine::Q35, accel: Accel::Tcg, tsc_hz: 1, disk: false, wired: true, hidden }
    }

    #[test]
    fn what_is_hidden_stands_behind_the_model() {
        let cpu = |word: &str| {
            let words = Words { hidden: hidden(&word.parse().unwrap()), ..plain() }.fixed();
            words[words.iter().position(|word| word == "-cpu").unwrap() + 1].clone()
        };
        assert_eq!(cpu("host"), "max");
        assert_eq!(cpu("-sha-popcnt"), "max,-popcnt,-sha-ni");
        assert!(cpu("avx2").starts_with("max,-avx512f,-avx512dq") && !cpu("avx2").contains("avx10"));
    }

    #[test]
    fn a_translated_guest_does_not_count_ticks() {
        for machine in Machine::ALL {
            let line = |accel| Words { machine, accel, ..plain() }.command_line();
            assert!(
                line(Accel::Tcg).contains(" no_timer_check") && !line(Accel::Kvm).contains("no_timer_check")
            );
            assert_eq!(line(Accel::Tcg).contains("tsc_early_khz"), machine == Machine::Microvm);
        }
    }

    #[test]
    fn a_disk_is_named_only_where_there_is_one() {
        let plain = plain();
        let files = (Path::new("/k"), Path::new("/i"), None);
        assert!(!plain.all(128 << 20, files, 9).iter().any(|word| word.contains("drive")));
        let own = (PathBuf::from("/a,b"), "qcow2");
        let disk = Words { disk: true, ..plain.clone() };
        let words = disk.all(128 << 20, (files.0, files.1, Some(&own)), 9);
        assert!(
            words.iter().any(|word| word.ends_with("format=qcow2,cache=writeback,file=/a,,b")),
            "{words:?}"
        );
        assert!(disk.command_line().contains("root=/dev/vda") && !plain.command_line().contains("root="));
        // The chardev of the control port comes before the device that names it.
        let at = |what: &str| words.iter().position(|word| word.contains(what)).unwrap();
        assert!(at("id=control") < at("isa-debugcon"));
    }
}
