//! A policy: the fields of a request that it reads, and how it decides.

use crate::{Decision, Request};

/// Decides how to respond to requests.
///
/// [`export!`](crate::export) makes a guest of it. Nothing is kept between two
/// calls, and equal requests must get equal decisions: there is no `self`.
pub trait Policy {
    /// What the policy reads besides the request line: names of header fields, in
    /// any letter case, and facts: `:client-address`, `:scheme`, `:protocol`,
    /// `:tls-version`, `:tls-server-name`, `:client-certificate` and `:client-name`,
    /// which `wit/policy.wit` explains. Other fields do not reach it. Few are best:
    /// the host caches decisions, and two requests are equal if their lines and all
    /// of these are.
    const INTERESTS: &'static [&'static str] = &[];

    /// Decides how to respond to one request. It should not panic: before a guest
    /// serves, the host tries malformed lines too.
    fn decide(request: &Request) -> Decision;
}

/// Makes the crate a guest: binds a [`Policy`] to `wit/policy.wit`.
///
/// On other targets than wasm it binds nothing, and only checks that the type is a
/// policy.
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
