//! What a policy says to its author, in a build for development: why it panics, and what
//! [`say!`](crate::say!) is given.
//!
//! A build for development is one with debug assertions, as `cargo build` makes without `--release`.
//! Any other says nothing, imports nothing, and has no code for it.

use std::fmt;

/// Shows a text to the author of the policy, formatted as by `println!`.
///
/// `innkeeper test`, `check`, `explain` and `dev` show it. Native tests write it to standard error.
///
/// ```
/// innkeeper_guest::say!("the path is {:?}", "a/b");
/// ```
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::development::say(::core::format_args!($($argument)*))
    };
}

/// Shows a text, by [`say!`](crate::say!).
#[doc(hidden)]
pub fn say(text: fmt::Arguments<'_>) {
    #[cfg(all(target_arch = "wasm32", debug_assertions))]
    crate::component::say(&text.to_string());
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{text}");
    #[cfg(all(target_arch = "wasm32", not(debug_assertions)))]
    let _ = text;
}
