//! Builds the programs that the runtimes start, and embeds them: the payload, the VMM, and the init of guests.
//!
//! Both are static and built with the same flags for everybody: a user's `RUSTFLAGS`, `target-cpu=native` say, must
//! not reach them, or results could not be compared. For musl where its target is installed (its start-up executes
//! no CPUID, which traps in a virtual machine), else for GNU with a static C runtime.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const MUSL: &str = "x86_64-unknown-linux-musl";
const GNU: &str = "x86_64-unknown-linux-gnu";

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().unwrap_or(root);
    for path in ["crates/payload", "runtimes/vmm", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    list_stanzas(Path::new(&variable("CARGO_MANIFEST_DIR")));
    let target = if has(MUSL) { MUSL } else { GNU };
    if target == GNU {
        println!(
            "cargo::warning=the target {MUSL} is not installed; the payload is built for {GNU} and starts slower"
        );
        println!("cargo::warning=remedy: rustup target add {MUSL}");
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    // Beside the profiles' folders, so that debug and release builds share it: OUT_DIR is TARGET/PROFILE/build/PKG/out,
    // or TARGET/TRIPLE/PROFILE/build/PKG/out where cargo is told a triple.
    let mut above = out.ancestors().skip(4).skip_while(|dir| dir.ends_with(variable("TARGET")));
    let dir = above.next().unwrap_or(&out).join("inside");
    build(&root, target, &dir);
    for name in ["isomark-payload", "isomark-vmm", "isomark-init"] {
        let built = dir.join(target).join("payload").join(name);
        let copy = out.join(name);
        std::fs::copy(&built, &copy).unwrap_or_else(|e| panic!("{}: {e}", built.display()));
    }
    println!("cargo::rustc-env=ISOMARK_TARGET={target}");
}

/// Lists the catalogue, so that a stanza is one file and no line of code.
fn list_stanzas(package: &Path) {
    let dir = package.join("catalogue");
    println!("cargo::rerun-if-changed={}", dir.display());
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files = entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let line = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("    ({name:?}, include_str!({:?})),\n", path.display().to_string())
    };
    let list = files.iter().map(line).collect::<String>();
    let text = format!(
        "/// The stanzas that came with this build: file name and text.\npub(crate) const STANZAS: &[(&str, &str)] = &[\n{list}];\n"
    );
    let out = PathBuf::from(variable("OUT_DIR")).join("catalogue.rs");
    std::fs::write(&out, text).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|e| panic!("cargo did not set {name}: {e}"))
}

/// Whether the toolchain has the standard library of a target.
fn has(target: &str) -> bool {
    let asked =
        Command::new(variable("RUSTC")).args(["--print", "target-libdir", "--target", target]).output();
    asked.is_ok_and(|out| {
        out.status.success() && Path::new(String::from_utf8_lossy(&out.stdout).trim()).exists()
    })
}

fn build(root: &Path, target: &str, dir: &Path) {
    let home =
        env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| home + "/.cargo")).unwrap_or_default();
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        // Fixed addresses: no relocations to process at every start.
        "-Crelocation-model=static".to_owned(),
        // The bytes must not depend on where the sources lie.
        format!("--remap-path-prefix={}=/isomark", root.display()),
        format!("--remap-path-prefix={home}=/cargo"),
    ];
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .args(["build", "--quiet", "--profile", "payload", "--target", target])
        .args([
            "-p",
            "isomark-payload",
            "--bin",
            "isomark-payload",
            "-p",
            "isomark-vmm",
            "--bin",
            "isomark-vmm",
            "--bin",
            "isomark-init",
        ])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        // Compiled in pieces, as a developer may have it, the payload would be another one.
        .env("CARGO_INCREMENTAL", "0");
    // What the outer build was told about codegen, linting and coverage is not for these two.
    for (name, _) in env::vars() {
        let codegen = name.starts_with("CARGO_PROFILE_") || name.starts_with("CARGO_TARGET_X86_64");
        if codegen
            || matches!(name.as_str(), "RUSTFLAGS" | "RUSTC_WORKSPACE_WRAPPER" | "CARGO_BUILD_RUSTFLAGS")
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status().unwrap_or_else(|e| panic!("cannot start cargo: {e}"));
    assert!(status.success(), "building the payload and the VMM for {target} failed; its messages are above");
}
