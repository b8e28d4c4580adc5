//! Reads a decision out of a guest's memory, as the canonical ABI has it (component model,
//! `CanonicalABI.md`, "load").
//!
//! What is read is what wasmtime would read for a component. What it would refuse is refused here,
//! and more may be: the decision is then made on a fresh instance, whose failure has its words.

use crate::guest::decision::unchecked::{
    Unchecked, UncheckedCandidate, UncheckedPage, UncheckedRedirect,
};
use crate::http::Field;

/// Bytes of a decision: a tag, and the largest case behind it.
const DECISION_BYTES: usize = 44;
const CANDIDATE_BYTES: usize = 36;
const FIELD_BYTES: usize = 16;

/// Nothing that is a decision, or one that is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoDecision;

type Read<T> = Result<T, NoDecision>;

/// The decision at this address of a memory. It may take `budget` bytes of the host's memory.
pub(super) fn decision(memory: &[u8], at: u32, budget: usize) -> Read<Unchecked> {
    if !at.is_multiple_of(4) {
        return Err(NoDecision);
    }
    Reader { memory, budget }.decision(usize::try_from(at).map_err(|_| NoDecision)?)
}

struct Reader<'a> {
    memory: &'a [u8],
    budget: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&self, at: usize, count: usize) -> Read<&'a [u8]> {
        let end = at.checked_add(count).ok_or(NoDecision)?;
        self.memory.get(at..end).ok_or(NoDecision)
    }

    fn array<const N: usize>(&self, at: usize) -> Read<[u8; N]> {
        self.bytes(at, N)?.try_into().map_err(|_| NoDecision)
    }

    fn u32(&self, at: usize) -> Read<usize> {
        usize::try_from(u32::from_le_bytes(self.array(at)?)).map_err(|_| NoDecision)
    }

    fn u16(&self, at: usize) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    fn tag(&self, at: usize) -> Read<u8> {
        let [tag] = self.array(at)?;
        Ok(tag)
    }

    /// A list at this address: where it is, and how many elements it has. Each counts for
    /// `element` bytes of the host's, as wasmtime counts them, and has `size` bytes here.
    fn list(
        &mut self,
        at: usize,
        size: usize,
        align: usize,
        element: usize,
    ) -> Read<(usize, usize)> {
        let (start, count) = (self.u32(at)?, self.u32(at + 4)?);
        if !start.is_multiple_of(align) {
            return Err(NoDecision);
        }
        self.bytes(start, count.checked_mul(size).ok_or(NoDecision)?)?;
        let cost = count.checked_mul(element.max(size)).ok_or(NoDecision)?;
        self.budget = self.budget.checked_sub(cost).ok_or(NoDecision)?;
        Ok((start, count))
    }

    fn octets(&mut self, at: usize) -> Read<&'a [u8]> {
        let (start, count) = self.list(at, 1, 1, 1)?;
        self.bytes(start, count)
    }

    fn text(&mut self, at: usize) -> Read<String> {
        let octets = self.octets(at)?;
        std::str::from_utf8(octets).map(str::to_owned).map_err(|_| NoDecision)
    }

    fn option<T>(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut Self, usize) -> Read<T>,
    ) -> Read<Option<T>> {
        match self.tag(at)? {
            0 => Ok(None),
            1 => read(self, at + 4).map(Some),
            _ => Err(NoDecision),
        }
    }

    fn fields(&mut self, at: usize) -> Read<Vec<Field>> {
        let (start, count) = self.list(at, FIELD_BYTES, 4, size_of::<Field>())?;
        (0..count)
            .map(|number| {
                let at = start + number * FIELD_BYTES;
                let name = self.text(at)?;
                Ok(Field { name: name.into(), value: self.octets(at + 8)?.to_vec().into() })
            })
            .collect()
    }

    fn redirect(&mut self, at: usize) -> Read<UncheckedRedirect> {
        Ok(UncheckedRedirect {
            status: self.u16(at)?,
            location: self.text(at + 4)?,
            fields: self.fields(at + 12)?,
        })
    }

    fn candidates(&mut self, at: usize) -> Read<Vec<UncheckedCandidate>> {
        let element = size_of::<UncheckedCandidate>();
        let (start, count) = self.list(at, CANDIDATE_BYTES, 4, element)?;
        (0..count)
            .map(|number| {
                let at = start + number * CANDIDATE_BYTES;
                let page = match self.tag(at)? {
                    0 => UncheckedPage::Index(self.text(at + 4)?),
                    1 => UncheckedPage::File(self.text(at + 4)?),
                    _ => return Err(NoDecision),
                };
                Ok(UncheckedCandidate {
                    page,
                    status: self.u16(at + 12)?,
                    location: self.option(at + 16, Reader::text)?,
                    fields: self.fields(at + 28)?,
                })
            })
            .collect()
    }

    fn decision(&mut self, at: usize) -> Read<Unchecked> {
        self.bytes(at, DECISION_BYTES)?;
        let case = at + 4;
        Ok(match self.tag(at)? {
            0 => Unchecked::Index(self.text(case)?),
            1 => Unchecked::File(self.text(case)?),
            2 => Unchecked::Serve {
                candidates: self.candidates(case)?,
                otherwise: self.option(case + 8, Reader::redirect)?,
                fields: self.fields(case + 32)?,
            },
            3 => Unchecked::NotFound,
            4 => Unchecked::Redirect(self.redirect(case)?),
            5 => Unchecked::Reply {
                status: self.u16(case)?,
                fields: self.fields(case + 4)?,
                body: self.octets(case + 12)?.to_vec(),
            },
            _ => return Err(NoDecision),
        })
    }
}
