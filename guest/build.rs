//! Makes the wasm module's memory small. A fresh instance is made for each
//! decision, and every page that it touches costs a page fault.

/// Room for the stack of a policy, in bytes. The linker's default is 1 MiB, and
/// the deepest call of the policy needs less than 4 KiB.
const STACK_BYTES: u32 = 32 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
