//! Version 0.1 of the contract, `wit/policy.wit`: its generated types, and what becomes of
//! them. No other file names these.

use wasmtime::component::InstancePre;
use wasmtime::{AsContextMut, StoreContextMut};

use self::exports::innkeeper::policy::policy;
use crate::guest::decision::request::Request;
use crate::guest::decision::unchecked::{
    Unchecked, UncheckedCandidate, UncheckedPage, UncheckedRedirect,
};
use crate::http::Field;

wasmtime::component::bindgen!({
    path: "../wit",
    world: "guest",
    // A request is read where it is, and not copied.
    ownership: Borrowing { duplicate_if_necessary: true },
});

/// A guest of this version that can be instantiated.
pub(in super::super) struct Exports<T: 'static>(GuestPre<T>);

/// The functions of one instance.
pub(in super::super) struct Functions(Guest);

impl<T: 'static> Exports<T> {
    /// Looks up what the contract wants exported; an error if it is not.
    pub(in super::super) fn of(guest: InstancePre<T>) -> wasmtime::Result<Exports<T>> {
        GuestPre::new(guest).map(Exports)
    }

    /// Makes an instance, and runs its start functions.
    pub(in super::super) fn instantiate(
        &self,
        store: impl AsContextMut<Data = T>,
    ) -> wasmtime::Result<Functions> {
        self.0.instantiate(store).map(Functions)
    }
}

impl Functions {
    /// Calls `interests`.
    pub(in super::super) fn interests<T>(
        &self,
        store: StoreContextMut<'_, T>,
    ) -> wasmtime::Result<Vec<String>> {
        self.0.innkeeper_policy_policy().call_interests(store)
    }

    /// Calls `decide`.
    pub(in super::super) fn decide<T>(
        &self,
        store: StoreContextMut<'_, T>,
        request: &Request,
    ) -> wasmtime::Result<Unchecked> {
        let fields = request.fields.iter();
        let fields: Vec<_> = fields
            .map(|field| policy::FieldParam { name: &field.name, value: &field.value })
            .collect();
        let request = policy::Request { line: &request.line, fields: &fields };
        self.0.innkeeper_policy_policy().call_decide(store, request).map(unchecked)
    }
}

fn unchecked(decision: policy::Decision) -> Unchecked {
    match decision {
        policy::Decision::Index(path) => Unchecked::Index(path),
        policy::Decision::File(path) => Unchecked::File(path),
        policy::Decision::Serve(serve) => Unchecked::Serve {
            candidates: serve.candidates.into_iter().map(candidate).collect(),
            otherwise: serve.otherwise.map(redirect),
            fields: fields(serve.fields),
        },
        policy::Decision::NotFound => Unchecked::NotFound,
        policy::Decision::Redirect(elsewhere) => Unchecked::Redirect(redirect(elsewhere)),
        policy::Decision::Reply(reply) => Unchecked::Reply {
            status: reply.status,
            fields: fields(reply.fields),
            body: reply.body,
        },
    }
}

fn candidate(candidate: policy::Candidate) -> UncheckedCandidate {
    UncheckedCandidate {
        page: match candidate.page {
            policy::Page::Index(path) => UncheckedPage::Index(path),
            policy::Page::File(path) => UncheckedPage::File(path),
        },
        status: candidate.status,
        location: candidate.location,
        fields: fields(candidate.fields),
    }
}

fn redirect(redirect: policy::Redirect) -> UncheckedRedirect {
    UncheckedRedirect {
        status: redirect.status,
        location: redirect.location,
        fields: fields(redirect.fields),
    }
}

fn fields(fields: Vec<policy::FieldResult>) -> Vec<Field> {
    fields
        .into_iter()
        .map(|field| Field { name: field.name.into(), value: field.value.into() })
        .collect()
}
