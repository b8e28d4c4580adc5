//! A policy: the fields of a request that it reads, and how it decides.

use crate::{Decision, Request};

/// Decides how to respond to requests.
///
/// [`export!`](crate::export) makes a guest of it. Nothing is kept between two
/// calls, and equal requests must get equal decisions: there is no `self`.
pub trait Policy {
    /// What the policy reads besides the request line: names of header fields, in
    /// any letter case, and facts: `:client-address`, `:scheme`, `:protocol`,
    /// `:tls-version`, `:tls-server-name`, `:client-certificate`, `:client-name`,
    /// `:time/N` and `:client-bucket/N`, with a number for N as in `:time/60`;
    /// `wit/policy.wit` explains them. Other fields do not reach it. Few are best:
    /// the host caches decisions, and two requests are equal if their lines and all
    /// of these are.
    const INTERESTS: &'static [&'static str] = &[];

    /// The names of [`INTERESTS`](Policy::INTERESTS), or those that the configuration of a
    /// policy needs ([`Configure`]). The host asks once, after configuration.
    fn interests() -> Vec<String> {
        Self::INTERESTS.iter().map(|&name| name.to_owned()).collect()
    }

    /// Decides how to respond to one request. It should not panic: before a guest
    /// serves, the host tries malformed lines too.
    fn decide(request: &Request) -> Decision;
}

/// A policy that is made ready by data: a table of redirects, for example.
///
/// `export!(MyPolicy, configurable)` makes a guest of it. The host configures it once, with
/// the bytes of `--data`, or with none; what that leaves in statics is the state that each
/// decision starts from.
///
/// ```
/// use std::sync::OnceLock;
///
/// use innkeeper_guest::{Configure, Decision, Policy, Redirect, Request};
///
/// /// Sends each client to the address in its data.
/// pub struct Elsewhere;
///
/// static ADDRESS: OnceLock<String> = OnceLock::new();
///
/// impl Configure for Elsewhere {
///     fn configure(data: &[u8]) -> Result<(), String> {
///         let address = str::from_utf8(data).map_err(|error| error.to_string())?.trim();
///         if address.is_empty() {
///             return Err("line 1: expected an address".to_owned());
///         }
///         let _ = ADDRESS.set(address.to_owned());
///         Ok(())
///     }
/// }
///
/// impl Policy for Elsewhere {
///     fn decide(_: &Request) -> Decision {
///         ADDRESS.get().map_or(Decision::NotFound, |to| Redirect::new(302, to).into())
///     }
/// }
///
/// innkeeper_guest::export!(Elsewhere, configurable);
/// ```
pub trait Configure: Policy {
    /// Makes the policy ready to decide by this data, which is empty if there is none. It
    /// runs once, on a fresh instance, before all else.
    ///
    /// The error is a sentence for the operator: what is wrong with the data, and where.
    /// With it, or with a panic, the guest does not serve.
    fn configure(data: &[u8]) -> Result<(), String>;
}

/// Makes the crate a guest: binds a [`Policy`] to `wit/policy.wit`.
///
/// `export!(MyPolicy, configurable)` exports its [`Configure`] too.
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
    ($policy:ty, configurable) => {
        $crate::export!($policy);
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Configured = $crate::component::Component<$policy>;
            $crate::component::configuration_bindings::export_configuration!(
                Configured with_types_in $crate::component::configuration_bindings
            );
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&[u8]) -> ::core::result::Result<(), ::std::string::String> =
            <$policy as $crate::Configure>::configure;
    };
}
