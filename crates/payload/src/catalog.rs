//! Which kernels the payload knows, how their work is counted and at which sizes they run.
//!
//! Work counts are analytic (operations or bytes per iteration as a function of `n`), never read from a
//! counter, so that a rate means the same in every runtime and on every host. The counts are in
//! [`crate::counts`].

/// What a kernel stresses; decides how a loss is read, not how it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Arithmetic on data that fits the caches.
    Compute,
    /// Bound by memory bandwidth or latency.
    Memory,
    /// Crosses into the (guest's) operating system on every operation.
    Os,
}

impl Kind {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory => "memory",
            Self::Os => "os",
        }
    }
}

/// One kernel: its name on the wire, the unit its work is counted in and its default size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Name on the wire and in plans.
    pub name: &'static str,
    /// What it stresses.
    pub kind: Kind,
    /// Unit of work: `flop`, `byte`, `key`, `sample`, `update`, `call`.
    pub work: &'static str,
    /// Meaning of the size `n`, for people.
    pub size: &'static str,
    /// Size when a plan names none.
    pub default_n: u64,
    /// Whether the instruction-set path matters; others run the baseline path only.
    pub vectorised: bool,
    /// What one line of a report says about it.
    pub about: &'static str,
}

/// All kernels, in the order reports show them.
pub const KERNELS: &[Kernel] = &[
    Kernel {
        name: "dgemm",
        kind: Kind::Compute,
        work: "flop",
        size: "matrix order",
        default_n: 256,
        vectorised: true,
        about: "C = A*B in double precision, 2n^3 flop",
    },
    Kernel {
        name: "fma-peak",
        kind: Kind::Compute,
        work: "flop",
        size: "multiply-adds per iteration and lane, rounded up to a multiple of 48",
        default_n: 100_000,
        vectorised: true,
        about: "independent multiply-adds in registers (fused where the path has them): the ceiling of dgemm",
    },
    Kernel {
        name: "lu",
        kind: Kind::Compute,
        work: "flop",
        size: "matrix order",
        default_n: 512,
        vectorised: true,
        about: "LU with partial pivoting and solve (LINPACK), 2/3 n^3 + 2n^2 flop",
    },
    Kernel {
        name: "fft",
        kind: Kind::Compute,
        work: "flop",
        size: "points, a power of two",
        default_n: 1 << 16,
        vectorised: true,
        about: "complex FFT, 5 n log2 n flop by convention",
    },
    Kernel {
        name: "nbody",
        kind: Kind::Compute,
        work: "flop",
        size: "bodies",
        default_n: 1024,
        vectorised: true,
        about: "all-pairs gravity, 20 flop per interaction by convention, n^2 interactions",
    },
    Kernel {
        name: "spmv",
        kind: Kind::Memory,
        work: "flop",
        size: "rows",
        default_n: 160_000,
        vectorised: false,
        about: "sparse matrix (5-point Laplacian, CSR) times vector, 2 flop per non-zero",
    },
    Kernel {
        name: "pi",
        kind: Kind::Compute,
        work: "sample",
        size: "samples per iteration",
        default_n: 500_000,
        vectorised: false,
        about: "Monte-Carlo pi with xoshiro256++, exact hit count for its seed",
    },
    Kernel {
        name: "sha256",
        kind: Kind::Compute,
        work: "byte",
        size: "bytes",
        default_n: 1 << 20,
        vectorised: false,
        about: "SHA-256 of n bytes",
    },
    Kernel {
        name: "sort",
        kind: Kind::Compute,
        work: "key",
        size: "64-bit keys",
        default_n: 100_000,
        vectorised: false,
        about: "unstable sort of n random keys",
    },
    Kernel {
        name: "copy",
        kind: Kind::Memory,
        work: "byte",
        size: "elements per array",
        default_n: 1 << 23,
        vectorised: true,
        about: "STREAM copy, 16 byte per element",
    },
    Kernel {
        name: "scale",
        kind: Kind::Memory,
        work: "byte",
        size: "elements per array",
        default_n: 1 << 23,
        vectorised: true,
        about: "STREAM scale, 16 byte per element",
    },
    Kernel {
        name: "add",
        kind: Kind::Memory,
        work: "byte",
        size: "elements per array",
        default_n: 1 << 23,
        vectorised: true,
        about: "STREAM add, 24 byte per element",
    },
    Kernel {
        name: "triad",
        kind: Kind::Memory,
        work: "byte",
        size: "elements per array",
        default_n: 1 << 23,
        vectorised: true,
        about: "STREAM triad, 24 byte per element",
    },
    Kernel {
        name: "random",
        kind: Kind::Memory,
        work: "update",
        size: "table entries, a power of two",
        default_n: 1 << 23,
        vectorised: false,
        about: "random read-modify-write of a table (GUPS), at most 65536 updates per iteration",
    },
    Kernel {
        name: "getpid",
        kind: Kind::Os,
        work: "call",
        size: "calls per iteration",
        default_n: 64,
        vectorised: false,
        about: "the cheapest system call",
    },
    Kernel {
        name: "pipe",
        kind: Kind::Os,
        work: "call",
        size: "round trips per iteration",
        default_n: 32,
        vectorised: false,
        about: "one byte through a pipe and back out: write + read",
    },
    Kernel {
        name: "mmap",
        kind: Kind::Os,
        work: "call",
        size: "rounds per iteration",
        default_n: 16,
        vectorised: false,
        about: "mmap, touch and munmap of 64 KiB",
    },
    Kernel {
        name: "first-touch",
        kind: Kind::Os,
        work: "byte",
        size: "bytes",
        default_n: 4 << 20,
        vectorised: false,
        about: "map, first write to each page, unmap",
    },
    Kernel {
        name: "fork",
        kind: Kind::Os,
        work: "call",
        size: "rounds per iteration",
        default_n: 4,
        vectorised: false,
        about: "fork, exit in the child, wait in the parent",
    },
];

/// The kernel with this name.
#[must_use]
pub fn kernel(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().find(|k| k.name == name)
}
