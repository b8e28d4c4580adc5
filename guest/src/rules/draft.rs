//! A decision of the rules before fields are added to it, and how they are.

use super::headers::Added;
use super::table::Responses;
use crate::contract::{MAX_FIELD_BYTES, MAX_FIELDS};
use crate::decision::{Field, Page};
use crate::{Candidate, Decision, Reply, Serve};

/// A decision before fields are added to it.
pub(super) enum Draft {
    Reply(Reply),
    Serve(Serve),
}

impl Draft {
    /// The responses among which all are that it may lead to.
    pub(super) fn responses(&self) -> Responses {
        match self {
            Draft::Serve(serve) if serve.otherwise.is_none() => Responses::Pages,
            // A client that is refused, or one that may be sent elsewhere.
            Draft::Serve(_) | Draft::Reply(_) => Responses::Every,
        }
    }

    /// The fields that the decision has by itself.
    fn fields(&self) -> impl Iterator<Item = &Field> {
        let (reply, serve) = match self {
            Draft::Reply(reply) => (Some(reply), None),
            Draft::Serve(serve) => (None, Some(serve)),
        };
        let of_serve = serve.into_iter().flat_map(|serve| {
            serve.fields.iter().chain(serve.candidates.iter().flat_map(|page| &page.fields))
        });
        reply.into_iter().flat_map(|reply| &reply.fields).chain(of_serve)
    }
}

/// What is left of the fields that one response may have.
struct Room {
    fields: usize,
    bytes: usize,
}

impl Room {
    /// Whether there is room for a field. It is then taken.
    fn take(&mut self, field: &Field) -> bool {
        self.take_bytes(field.name.len() + field.value.len())
    }

    /// Whether there is room for a field of this many bytes.
    fn take_bytes(&mut self, bytes: usize) -> bool {
        let has_room = self.fields > 0 && bytes <= self.bytes;
        if has_room {
            self.fields -= 1;
            self.bytes -= bytes;
        }
        has_room
    }
}

/// Adds the fields of rules to a decision. Fields that the host would refuse as too many are left
/// out.
pub(super) fn finish(
    draft: Draft,
    shared: Vec<Field>,
    added: Added,
    vary: Option<String>,
) -> Decision {
    let Added { mut every, mut files } = added;
    let mut room = Room { fields: MAX_FIELDS, bytes: MAX_FIELD_BYTES };
    // The decision's own fields come first.
    draft.fields().chain(&shared).for_each(|field| _ = room.take(field));
    if let Some(vary) = &vary {
        room.take_bytes("vary, ".len() + vary.len());
    }
    every.retain(|field| room.take(field));
    files.retain(|field| every.contains(field) || room.take(field));
    // What the rules about origins say counts more than a block of fields.
    for field in shared {
        for fields in [&mut every, &mut files] {
            fields.retain(|other| !is_same_name(&field.name, &other.name));
        }
        every.push(field);
    }
    if let Some(vary) = vary {
        // The host adds that of a page to it.
        match every.iter_mut().find(|field| is_same_name(&field.name, "vary")) {
            Some(field) => {
                field.value.extend_from_slice(b", ");
                field.value.extend_from_slice(vary.as_bytes());
            }
            None => every.push(Field::new("vary", vary.as_str())),
        }
    }
    match draft {
        Draft::Reply(mut reply) => {
            add_missing(&mut reply.fields, every);
            reply.into()
        }
        Draft::Serve(mut serve) => {
            files.retain(|field| !every.contains(field));
            if !files.is_empty() {
                let pages = serve.candidates.iter_mut().filter(|candidate| candidate.status == 200);
                for candidate in pages {
                    add_missing(&mut candidate.fields, files.iter().cloned());
                }
            }
            add_missing(&mut serve.fields, every);
            shorten(serve)
        }
    }
}

/// Adds fields of which the response has none of the same name.
fn add_missing(fields: &mut Vec<Field>, more: impl IntoIterator<Item = Field>) {
    let own = fields.len();
    for field in more {
        let is_own = fields.iter().take(own).any(|other| is_same_name(&field.name, &other.name));
        if !is_own {
            fields.push(field);
        }
    }
}

fn is_same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// The shortest form of a decision.
fn shorten(mut serve: Serve) -> Decision {
    if serve.candidates.is_empty() {
        return match serve.otherwise.take() {
            Some(mut redirect) => {
                redirect.fields.append(&mut serve.fields);
                redirect.into()
            }
            None if serve.fields.is_empty() => Decision::NotFound,
            None => serve.into(),
        };
    }
    let is_plain = |candidate: &Candidate| candidate.status == 200 && candidate.fields.is_empty();
    if serve.otherwise.is_none()
        && serve.fields.is_empty()
        && serve.candidates.len() == 1
        && serve.candidates.iter().all(is_plain)
    {
        return match serve.candidates.pop().map(|candidate| candidate.page) {
            Some(Page::Index(path)) => Decision::Index(path),
            Some(Page::File(path)) => Decision::File(path),
            None => Decision::NotFound,
        };
    }
    serve.into()
}
