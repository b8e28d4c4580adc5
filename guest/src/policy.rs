//! A policy: what it wants to know of a request, and how it decides.

use crate::{Decision, Request};

/// Decides how requests are answered.
///
/// [`export!`](crate::export) makes a guest of it. Nothing is kept between two
/// calls, and equal requests must get equal decisions: there is no `self`.
pub trait Policy {
    /// What of a request, besides its line, the policy reads: names of header
    /// fields, in any letter case, and the facts `:client-address` and `:scheme`.
    /// What is not named here does not reach it. Few are best: the host remembers
    /// decisions, and two requests are equal if all of these are.
    const INTERESTS: &'static [&'static str] = &[];

    /// Decides how to answer one request. It should not panic: the host tries
    /// malformed lines too before it puts a guest in service.
    fn decide(request: &Request) -> Decision;
}

/// Makes the crate a guest: binds a [`Policy`] to `wit/policy.wit`.
///
/// Compiled for anything but wasm it binds nothing, and only sees to it that the
/// type is a policy.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::component::Component<$policy>;
            $crate::component::bindings::export!(Exported with_types_in $crate::component::bindings);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&$crate::Request) -> $crate::Decision = <$policy as $crate::Policy>::decide;
    };
}
