//! Writes to standard output. Where that cannot be written it is an error; `print!` would
//! panic.

use std::fmt;
use std::io::{self, Write};
use std::iter;

use anyhow::Context;

/// Writes this.
pub(super) fn print(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_fmt(text).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Lines under one heading: it stands before the first.
pub(super) fn headed<T>(
    heading: &'static str,
    lines: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (&'static str, T)> {
    iter::once(heading).chain(iter::repeat("")).zip(lines)
}
