//! The slow and obvious versions: straight from the documents, one byte or one name
//! after the other, with nothing of innkeeper's own code in them.

pub mod answers;
pub mod body;
pub mod fields;
pub mod host;
pub mod request;
pub mod walk;
