//! Makes the stack of the wasm module small. Each decision runs on a fresh instance, and
//! every page that the instance touches costs a page fault.
//!
//! Cargo applies this to guests that are built on this crate, too. Without it a guest has
//! the linker's 1 MiB, and works.

/// Bytes of the stack of the default policy. The linker's default is
/// 1 MiB, and the deepest call of the policy needs less than 4 KiB.
const STACK_BYTES: u32 = 32 * 1024;

/// The same for other policies, whose libraries may need more. Untouched pages cost
/// nothing measurable.
const STACK_BYTES_OF_OTHERS: u32 = 256 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        let is_default = std::env::var_os("CARGO_FEATURE_COMPONENT").is_some();
        let bytes = if is_default { STACK_BYTES } else { STACK_BYTES_OF_OTHERS };
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={bytes}");
    }
}
