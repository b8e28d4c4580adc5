//! Makes the wasm module's memory small. A fresh instance is made for each
//! decision, and every page that it touches costs a page fault.
//!
//! Cargo hands this on to guests that are built on this crate. One that it should no
//! longer do so for would have the linker's 1 MiB, and work.

/// Room for the stack of the default policy, in bytes. The linker's default is
/// 1 MiB, and the deepest call of the policy needs less than 4 KiB.
const STACK_BYTES: u32 = 32 * 1024;

/// The same for other policies, whose libraries may need more. What is not touched
/// costs nothing that could be measured.
const STACK_BYTES_OF_OTHERS: u32 = 256 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        let is_default = std::env::var_os("CARGO_FEATURE_COMPONENT").is_some();
        let bytes = if is_default { STACK_BYTES } else { STACK_BYTES_OF_OTHERS };
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={bytes}");
    }
}
