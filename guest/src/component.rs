//! Binds a policy to `wit/policy.wit`. The only file that knows wit-bindgen.

use std::marker::PhantomData;

use bindings::exports::innkeeper::policy::policy;
use configuration_bindings::exports::innkeeper::policy::configuration;

use crate::decision::{Candidate, Decision, Field, Page, Redirect};
use crate::{Configure, Policy, Request};

/// The types and functions that wit-bindgen generates for the world.
#[expect(missing_docs, reason = "`wit/policy.wit` documents all of it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "guest",
        pub_export_macro: true,
    });
}

/// The same for what a configurable guest exports besides.
#[expect(missing_docs, reason = "`wit/policy.wit` documents all of it")]
pub mod configuration_bindings {
    wit_bindgen::generate!({
        inline: "
            package innkeeper:guest;
            world configurable { export innkeeper:policy/configuration@0.1.0; }
        ",
        path: "wit",
        pub_export_macro: true,
        export_macro_name: "export_configuration",
    });
}

/// What a build for development imports besides.
#[cfg(debug_assertions)]
#[expect(missing_docs, reason = "`wit/policy.wit` documents all of it")]
pub mod development_bindings {
    wit_bindgen::generate!({ path: "wit", world: "speaking" });
}

/// Shows a text to the policy's author.
#[cfg(debug_assertions)]
pub(crate) fn say(text: &str) {
    development_bindings::innkeeper::policy::development::say(text);
}

/// Has a panic say why, in a build for development. Each decision begins on a fresh instance.
fn begin() {
    #[cfg(debug_assertions)]
    std::panic::set_hook(Box::new(|panic| say(&panic.to_string())));
}

/// The built-in guest.
#[cfg(feature = "component")]
#[expect(
    unsafe_code,
    unreachable_pub,
    reason = "`export!` expands to the functions of the canonical ABI, for the linker to find"
)]
mod default {
    crate::export!(crate::DefaultPolicy);
}

/// A policy in the terms of the bindings.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);

impl<P: Policy + 'static> policy::Guest for Component<P> {
    fn interests() -> Vec<String> {
        begin();
        P::interests()
    }

    fn decide(request: policy::Request) -> policy::Decision {
        begin();
        let fields = request.fields.into_iter().map(field_from).collect();
        match P::decide(&Request::new(request.line, fields)) {
            Decision::Index(path) => policy::Decision::Index(path),
            Decision::File(path) => policy::Decision::File(path),
            Decision::NotFound => policy::Decision::NotFound,
            Decision::Reply(reply) => policy::Decision::Reply(policy::Reply {
                status: reply.status,
                fields: fields_to(reply.fields),
                body: reply.body,
            }),
            Decision::Serve(serve) => policy::Decision::Serve(policy::Serve {
                candidates: serve.candidates.into_iter().map(candidate_to).collect(),
                otherwise: serve.otherwise.map(redirect_to),
                fields: fields_to(serve.fields),
            }),
            Decision::Redirect(redirect) => policy::Decision::Redirect(redirect_to(redirect)),
        }
    }
}

impl<P: Configure + 'static> configuration::Guest for Component<P> {
    fn configure(data: Vec<u8>) -> Result<(), String> {
        begin();
        let configured = P::configure(&data);
        crate::arena::reserve();
        configured
    }
}

fn field_from(field: policy::Field) -> Field {
    Field { name: field.name, value: field.value }
}

fn fields_to(fields: Vec<Field>) -> Vec<policy::Field> {
    fields.into_iter().map(|field| policy::Field { name: field.name, value: field.value }).collect()
}

fn candidate_to(candidate: Candidate) -> policy::Candidate {
    policy::Candidate {
        page: match candidate.page {
            Page::Index(path) => policy::Page::Index(path),
            Page::File(path) => policy::Page::File(path),
        },
        status: candidate.status,
        location: candidate.location,
        fields: fields_to(candidate.fields),
    }
}

fn redirect_to(redirect: Redirect) -> policy::Redirect {
    policy::Redirect {
        status: redirect.status,
        location: redirect.location,
        fields: fields_to(redirect.fields),
    }
}
