//! The built-in guest that decides by rules: its data is a table of them.
