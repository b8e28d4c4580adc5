//! Builds the guests of this program for wasm, so that they can be embedded in the binary
//! and `cargo build` is the whole set-up: the default one, and the one that reads rules.
//!
//! They are built by a cargo of its own, in a target folder of its own: this
//! script runs while the outer cargo holds the lock on the usual one.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use wit_component::ComponentEncoder;

/// What the guest is built for. Its modules import nothing.
const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    for source in [
        "build.rs",
        "../Cargo.lock",
        "../Cargo.toml",
        "../guest/Cargo.toml",
        "../guest/build.rs",
        "../guest/rules",
        "../guest/src",
        "../wit",
    ] {
        println!("cargo::rerun-if-changed={source}");
    }
    if let Err(problem) = ensure_target() {
        println!("cargo::error={problem}");
        return ExitCode::FAILURE;
    }
    for guest in GUESTS {
        match build(&guest) {
            Ok(component) => {
                println!("cargo::rustc-env={}={}", guest.variable, component.display())
            }
            Err(problem) => {
                println!("cargo::error={problem}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// A guest of this program.
struct Guest {
    /// What it is called in messages.
    name: &'static str,
    /// Its folder, from here.
    folder: &'static str,
    /// Its profile in the workspace's `Cargo.toml`.
    profile: &'static str,
    /// The file that cargo makes of it.
    module: &'static str,
    /// Whether its component is compressed.
    compressed: bool,
    /// The variable that holds the path of its component while the program is compiled.
    variable: &'static str,
}

/// They are built one after the other, as a feature of the first is off in the second.
const GUESTS: [Guest; 2] = [
    Guest {
        name: "the default guest",
        folder: "../guest",
        profile: "guest",
        module: "innkeeper_guest.wasm",
        compressed: false,
        variable: "INNKEEPER_DEFAULT_GUEST",
    },
    Guest {
        name: "the guest of rules",
        folder: "../guest/rules",
        profile: "guest-rules",
        module: "innkeeper_rules.wasm",
        compressed: true,
        variable: "INNKEEPER_RULES_GUEST",
    },
];

/// Builds a guest and gives the path of its component.
fn build(guest: &Guest) -> Result<PathBuf, String> {
    let Guest { name, folder, profile, module, compressed, .. } = *guest;
    let target_dir = Path::new(&variable("OUT_DIR")?).join("guest");
    let manifest = Path::new(&variable("CARGO_MANIFEST_DIR")?).join(folder).join("Cargo.toml");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["build", "--locked", "--lib", "--target", TARGET])
        .args(["--profile", profile])
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target_dir);
    // What the outer cargo was told about its own compiler calls (by clippy, by
    // coverage tools, by flags for the machine's processor) is not for the guest.
    for name in [
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(name);
    }
    let status =
        cargo.status().map_err(|error| format!("cannot run cargo to build {name}: {error}"))?;
    if !status.success() {
        return Err(format!("{name} does not build; cargo says why above"));
    }
    let module = target_dir.join(TARGET).join(profile).join(module);
    let component = module.with_extension("component.wasm");
    wrap(&module, &component, compressed).map_err(|error| format!("{name}: {error:#}"))?;
    Ok(component)
}

/// Makes a component of a core module that carries its component type, which the
/// host would otherwise do at each start.
fn wrap(
    module: &Path,
    component: &Path,
    compressed: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let module = std::fs::read(module)?;
    let mut encoded = ComponentEncoder::default().module(&module)?.encode()?;
    if compressed {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&encoded)?;
        encoded = encoder.finish()?;
    }
    std::fs::write(component, encoded)?;
    Ok(())
}

/// Makes sure that the compiler has the standard library for wasm, if need be
/// through rustup.
fn ensure_target() -> Result<(), String> {
    if has_target()? {
        return Ok(());
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).output();
    if has_target()? {
        return Ok(());
    }
    let why = match added {
        Ok(output) => String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or("rustup says nothing")
            .to_owned(),
        Err(error) => format!("rustup: {error}"),
    };
    Err(format!(
        "the compiler has no {TARGET} target, which guests are built for, and adding it failed \
         ({why}); get it with: rustup target add {TARGET}"
    ))
}

/// Whether the compiler has the standard library for wasm.
fn has_target() -> Result<bool, String> {
    let output = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}

/// A variable that cargo sets for build scripts.
fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}
