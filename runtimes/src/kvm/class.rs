//! Hardware, nested or pagetable-based: how this host's KVM runs a guest kernel.
//!
//! A guest in supervisor mode counts down a register. Under hardware virtualization that takes a nanosecond a turn; a
//! KVM without it (pagetable-based, kvm-pvm) emulates supervisor code at about half a microsecond an instruction.
//! Whether hardware virtualization is itself nested is told by the hypervisor bit of CPUID.

use kvm_ioctls::{Kvm, VcpuExit};

use super::{Page, map_into, open};
use isomark_core::clock::monotonic_ns;

/// How a host's KVM runs a guest kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// VMX or SVM on the processor itself.
    Hardware,
    /// VMX or SVM that an outer hypervisor provides.
    Nested,
    /// No VMX or SVM: guest user mode runs natively, guest kernel mode is emulated.
    PagetableBased,
    /// KVM cannot be used.
    None,
}

impl Class {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Nested => "nested",
            Self::PagetableBased => "pagetable-based",
            Self::None => "none",
        }
    }
}

/// A class and what it was concluded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The class.
    pub class: Class,
    /// What was seen, in words.
    pub evidence: String,
}

/// Turns of the probe's loop: 1 ms when emulated, nothing otherwise.
const TURNS: u16 = 1000;

/// Above this, in ns a turn, supervisor code is emulated: that takes a thousand. Native code takes about one, and where a
/// machine is itself emulated in software leaving it adds up to a hundred.
const EMULATED: f64 = 250.0;

/// `mov cx, TURNS; 1: dec cx; jnz 1b; hlt` in real mode.
const LOOP: [u8; 7] = [0xb9, TURNS.to_le_bytes()[0], TURNS.to_le_bytes()[1], 0x49, 0x75, 0xfd, 0xf4];

/// Probes this host. Takes about 2 ms and changes nothing.
#[must_use]
pub fn classify() -> Finding {
    let kvm = match open() {
        Ok(kvm) => kvm,
        Err(why) => return Finding { class: Class::None, evidence: why.reason },
    };
    match count_down(&kvm) {
        Ok(ns) => conclude(ns, has_hypervisor_bit(), loaded_modules().as_slice()),
        Err(why) => Finding { class: Class::None, evidence: format!("the probe's machine failed: {why}") },
    }
}

fn conclude(ns_per_turn: f64, hypervisor: bool, modules: &[String]) -> Finding {
    let class = match (ns_per_turn > EMULATED, hypervisor) {
        (true, _) => Class::PagetableBased,
        (false, true) => Class::Nested,
        (false, false) => Class::Hardware,
    };
    let modules = if modules.is_empty() { "built in".to_owned() } else { modules.join(", ") };
    let evidence = format!(
        "guest supervisor code takes {ns_per_turn:.1} ns a loop turn; CPUID hypervisor bit {}; KVM modules: {modules}",
        if hypervisor { "set" } else { "clear" },
    );
    Finding { class, evidence }
}

/// The best of five, in ns a turn: an interrupt can only make it longer.
fn count_down(kvm: &Kvm) -> Result<f64, kvm_ioctls::Error> {
    let machine = kvm.create_vm()?;
    let memory = Page::holding(&LOOP).map_err(|_| kvm_ioctls::Error::new(libc::ENOMEM))?;
    map_into(&machine, &memory)?;
    let mut cpu = machine.create_vcpu(0)?;
    let mut state = cpu.get_sregs()?;
    (state.cs.base, state.cs.selector) = (0, 0);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        cpu.set_sregs(&state)?;
        cpu.set_regs(&kvm_bindings::kvm_regs { rip: 0, rflags: 2, ..Default::default() })?;
        let began = monotonic_ns();
        match cpu.run()? {
            VcpuExit::Hlt => best = best.min((monotonic_ns() - began) as f64),
            _ => return Err(kvm_ioctls::Error::new(libc::EIO)),
        }
    }
    drop((cpu, machine));
    Ok(best / f64::from(TURNS))
}

fn has_hypervisor_bit() -> bool {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
}

fn loaded_modules() -> Vec<String> {
    ["kvm_intel", "kvm_amd", "kvm_pvm"]
        .into_iter()
        .filter(|name| std::path::Path::new("/sys/module").join(name).exists())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn concluded(ns: f64, hypervisor: bool, class: Class) {
        assert_eq!(conclude(ns, hypervisor, &[]).class, class);
    }

    #[test]
    fn emulation_outweighs_the_hypervisor_bit() {
        concluded(1070.0, true, Class::PagetableBased);
        concluded(1070.0, false, Class::PagetableBased);
        concluded(4.5, true, Class::Nested);
        concluded(85.2, true, Class::Nested);
        concluded(0.3, false, Class::Hardware);
    }

    #[test]
    fn the_probe_agrees_with_the_device() {
        let finding = classify();
        assert_eq!(finding.class == Class::None, open().is_err(), "{finding:?}");
    }
}
