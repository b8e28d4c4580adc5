//! The header fields of a response.

use std::any::Any;
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A header field. The name is a token, the value has no control characters but tabs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Cow<'static, [u8]>,
}

impl Field {
    /// A field known when the program was written.
    pub const fn fixed(name: &'static str, value: &'static str) -> Field {
        Field { name: Cow::Borrowed(name), value: Cow::Borrowed(value.as_bytes()) }
    }

    /// A field with a known name.
    pub fn new(name: &'static str, value: impl Into<Vec<u8>>) -> Field {
        Field { name: Cow::Borrowed(name), value: Cow::Owned(value.into()) }
    }
}

/// A list of fields: one response's own, or one that many responses share.
///
/// A shared list keeps what each wire made of it, so that it is rendered once and then copied.
#[derive(Clone, Debug)]
pub struct Fields(List);

#[derive(Clone, Debug)]
enum List {
    Own(Vec<Field>),
    Shared(Arc<Shared>),
}

#[derive(Debug)]
struct Shared {
    fields: Box<[Field]>,
    rendered: OnceLock<Box<[u8]>>,
    kept: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Fields {
    /// An empty list.
    pub const fn new() -> Fields {
        Fields(List::Own(Vec::new()))
    }

    /// Adds a field at the end. Of a shared list it makes an own one.
    pub fn push(&mut self, field: Field) {
        self.change(|fields| fields.push(field));
    }

    /// Keeps the fields for which this holds.
    pub fn retain(&mut self, keep: impl FnMut(&Field) -> bool) {
        self.change(|fields| fields.retain(keep));
    }

    /// The same list, to be cloned without a copy and rendered once.
    pub fn shared(self) -> Fields {
        match self.0 {
            List::Own(fields) if fields.is_empty() => Fields::new(),
            List::Own(fields) => {
                let fields = fields.into_boxed_slice();
                Fields(List::Shared(Arc::new(Shared {
                    fields,
                    rendered: OnceLock::new(),
                    kept: OnceLock::new(),
                })))
            }
            shared @ List::Shared(_) => Fields(shared),
        }
    }

    /// The bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.iter().map(|field| field.name.len() + field.value.len()).sum()
    }

    /// The bytes that the list takes in memory, without what a wire made of it.
    pub fn memory_bytes(&self) -> usize {
        size_of_val(&**self) + self.bytes()
    }

    /// Appends what `render` makes of the list. Of a shared list it is made once: all callers
    /// give the same function.
    pub fn render(&self, render: impl Fn(&[Field], &mut Vec<u8>), out: &mut Vec<u8>) {
        match &self.0 {
            List::Own(fields) => render(fields, out),
            List::Shared(shared) => out.extend_from_slice(shared.rendered.get_or_init(|| {
                let mut rendered = Vec::new();
                render(&shared.fields, &mut rendered);
                rendered.into_boxed_slice()
            })),
        }
    }

    /// What `make` makes of a shared list, for a wire whose fields are no bytes. It is made once:
    /// all callers give the same function. `None` of an own list.
    pub fn kept<T: Any + Send + Sync>(&self, make: impl FnOnce(&[Field]) -> T) -> Option<&T> {
        let List::Shared(shared) = &self.0 else { return None };
        shared.kept.get_or_init(|| Box::new(make(&shared.fields))).downcast_ref()
    }

    /// Changes the list, which is an own one afterwards.
    fn change(&mut self, change: impl FnOnce(&mut Vec<Field>)) {
        let mut fields = match std::mem::replace(&mut self.0, List::Own(Vec::new())) {
            List::Own(fields) => fields,
            List::Shared(shared) => shared.fields.to_vec(),
        };
        change(&mut fields);
        self.0 = List::Own(fields);
    }
}

impl Default for Fields {
    fn default() -> Fields {
        Fields::new()
    }
}

impl Deref for Fields {
    type Target = [Field];

    fn deref(&self) -> &[Field] {
        match &self.0 {
            List::Own(fields) => fields,
            List::Shared(shared) => &shared.fields,
        }
    }
}

impl PartialEq for Fields {
    /// Whether the fields are the same, in the same order. Of one shared list this is known
    /// without a look.
    fn eq(&self, other: &Fields) -> bool {
        match (&self.0, &other.0) {
            (List::Shared(one), List::Shared(other)) if Arc::ptr_eq(one, other) => true,
            _ => **self == **other,
        }
    }
}

impl Eq for Fields {}

impl From<Vec<Field>> for Fields {
    fn from(fields: Vec<Field>) -> Fields {
        Fields(List::Own(fields))
    }
}

impl Extend<Field> for Fields {
    fn extend<I: IntoIterator<Item = Field>>(&mut self, fields: I) {
        let mut fields = fields.into_iter().peekable();
        // A shared list to which nothing is added stays one.
        if fields.peek().is_some() {
            self.change(|own| own.extend(fields));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Fields};

    fn list() -> Fields {
        Fields::from(vec![Field::fixed("A", "b"), Field::fixed("C", "d")])
    }

    #[test]
    fn shared_list_is_rendered_once() {
        let shared = list().shared();
        let mut out = Vec::new();
        shared.clone().render(|fields, out| out.push(b'0' + u8::from(fields.len() == 2)), &mut out);
        shared.render(|_, _| panic!("a second time"), &mut out);
        assert_eq!(out, b"11");
    }

    #[test]
    fn change_of_a_shared_list_leaves_the_others() {
        let shared = list().shared();
        let mut own = shared.clone();
        own.push(Field::fixed("E", "f"));
        assert_eq!((shared.len(), own.len()), (2, 3));
        assert_eq!(shared, list());
        assert_ne!(shared, own);
    }
}
