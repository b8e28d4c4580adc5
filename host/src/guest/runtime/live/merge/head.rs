//! What of a module has to be known before it is merged: what it imports and exports, and how many of each
//! it has besides.

use std::collections::HashMap;

use wasmparser::{DataKind, ElementKind, ExternalKind, Parser, Payload, TypeRef};

use crate::guest::runtime::live::ineligible::Ineligible;
use crate::guest::runtime::live::links::{CoreInstance, CoreItem, unreadable};

/// An import, and what it is.
pub(super) struct Import<'a> {
    pub(super) item: CoreItem<'a>,
    pub(super) ty: TypeRef,
}

/// How many of each, imports left out.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) types: u32,
    pub(super) functions: u32,
    pub(super) tables: u32,
    pub(super) memories: u32,
    pub(super) globals: u32,
    pub(super) elements: u32,
    pub(super) data: u32,
}

/// What the sections of a module say of it: what it imports and exports, and how many of each it has
/// besides.
pub(super) struct Head<'a> {
    pub(super) module: &'a [u8],
    pub(super) imports: Vec<Import<'a>>,
    pub(super) exports: HashMap<&'a str, (ExternalKind, u32)>,
    pub(super) has: Counts,
    /// Whether something is written to a memory or a table when an instance is made.
    pub(super) has_segments: bool,
    pub(super) start: Option<u32>,
}

impl<'a> Head<'a> {
    pub(super) fn of(instance: &CoreInstance<'a>) -> Result<Head<'a>, Ineligible> {
        let mut head = Head {
            module: instance.module,
            imports: Vec::new(),
            exports: HashMap::new(),
            has: Counts::default(),
            has_segments: false,
            start: None,
        };
        for payload in Parser::new(0).parse_all(instance.module) {
            match payload.map_err(unreadable)? {
                Payload::TypeSection(section) => {
                    for group in section {
                        let types = group.map_err(unreadable)?.types().len();
                        head.has.types += u32::try_from(types).map_err(unreadable)?;
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(unreadable)?;
                        let item = instance.import(import.module, import.name);
                        let item = item.ok_or(Ineligible::Composed)?;
                        head.imports.push(Import { item, ty: import.ty });
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(unreadable)?;
                        head.exports.insert(export.name, (export.kind, export.index));
                    }
                }
                Payload::FunctionSection(section) => head.has.functions = section.count(),
                Payload::TableSection(section) => head.has.tables = section.count(),
                Payload::MemorySection(section) => head.has.memories = section.count(),
                Payload::GlobalSection(section) => head.has.globals = section.count(),
                Payload::ElementSection(section) => {
                    head.has.elements = section.count();
                    for element in section {
                        let kind = element.map_err(unreadable)?.kind;
                        head.has_segments |= matches!(kind, ElementKind::Active { .. });
                    }
                }
                Payload::DataSection(section) => {
                    head.has.data = section.count();
                    for data in section {
                        let kind = data.map_err(unreadable)?.kind;
                        head.has_segments |= matches!(kind, DataKind::Active { .. });
                    }
                }
                Payload::StartSection { func, .. } => head.start = Some(func),
                _ => {}
            }
        }
        Ok(head)
    }
}
