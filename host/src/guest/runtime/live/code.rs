//! The machine code of a guest's live form, and what is to be known of it: as a compiler gives both, and
//! as they are kept on disk.

use std::borrow::Cow;

use super::ineligible::Ineligible;
use super::rewrite::LiveForm;

/// What a compiler makes of a guest to be live.
pub(in crate::guest::runtime) struct LiveCode<'a> {
    /// What is to be known of it, or why it has no live form.
    pub(in crate::guest::runtime) form: Result<LiveForm, Ineligible>,
    /// Machine code of a core module; none if it has no live form.
    pub(in crate::guest::runtime) code: Cow<'a, [u8]>,
}

impl LiveCode<'_> {
    /// That of a guest that has no live form.
    pub(in crate::guest::runtime) fn without(ineligible: Ineligible) -> LiveCode<'static> {
        LiveCode { form: Err(ineligible), code: Cow::default() }
    }

    /// One line of JSON, and then the machine code.
    pub(in crate::guest::runtime) fn write(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(&self.form)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.code);
        Ok(bytes)
    }

    /// Reads what [`write`](LiveCode::write) wrote; `None` if it is something else.
    pub(in crate::guest::runtime) fn read(bytes: &[u8]) -> Option<LiveCode<'_>> {
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        let form = serde_json::from_slice(&bytes[..line]).ok()?;
        Some(LiveCode { form, code: bytes[line + 1..].into() })
    }
}
