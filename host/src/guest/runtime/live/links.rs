//! The core instances that a component makes, what each is linked with, and the function that decides.
//!
//! The component is read as it would be instantiated (component model, `Explainer.md`, "instance
//! definitions"), and nothing is run. Functions of the host, and those that another component would
//! lend by way of it, are all the same: a guest that calls one is decided on a fresh instance.

use std::collections::HashMap;
use std::fmt::Display;
use std::rc::Rc;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, ExternalKind, Instance, Parser, Payload,
};

use super::index::at;
use super::ineligible::Ineligible;
use crate::guest::runtime::contract::INTERFACE;

/// The function of the contract that decides.
const DECIDE: &str = "decide";

/// How deep components may be in one another. Toolchains make two levels.
const MAX_DEPTH: usize = 8;

/// Instances of components that may be made, and core instances, so that a small file cannot ask for
/// many. One of componentize-py has 38.
const MAX_INSTANCES: usize = 1_000;

/// What the core instances of a component are made of.
pub(super) struct Links<'a> {
    /// In the order in which they are made.
    pub(super) instances: Vec<CoreInstance<'a>>,
    pub(super) decide: Lifted<'a>,
}

/// A core instance: its module, and for each module that this imports from where that is.
pub(super) struct CoreInstance<'a> {
    pub(super) module: &'a [u8],
    arguments: HashMap<&'a str, CoreExports<'a>>,
}

/// What a core instance exports.
#[derive(Clone)]
enum CoreExports<'a> {
    /// What its module says.
    Of(usize),
    /// What was put together.
    Listed(Rc<HashMap<&'a str, CoreItem<'a>>>),
}

/// A core function, memory, table or global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CoreItem<'a> {
    /// What this instance exports by this name.
    Export(usize, &'a str),
    /// A function that no live guest may call.
    Outside,
}

/// A core function that is lifted with texts in UTF-8, and its options.
#[derive(Clone, Copy)]
pub(super) struct Lifted<'a> {
    pub(super) function: CoreItem<'a>,
    pub(super) memory: CoreItem<'a>,
    pub(super) realloc: CoreItem<'a>,
    pub(super) post_return: Option<CoreItem<'a>>,
}

impl<'a> CoreInstance<'a> {
    /// What it gets where its module imports this name from this module.
    pub(super) fn import(&self, module: &str, name: &'a str) -> Option<CoreItem<'a>> {
        self.arguments.get(module)?.get(name)
    }
}

impl<'a> CoreExports<'a> {
    fn get(&self, name: &'a str) -> Option<CoreItem<'a>> {
        match self {
            CoreExports::Of(instance) => Some(CoreItem::Export(*instance, name)),
            CoreExports::Listed(items) => items.get(name).copied(),
        }
    }
}

impl<'a> Links<'a> {
    /// Reads a component that exports the contract.
    pub(super) fn of(component: &'a [u8]) -> Result<Links<'a>, Ineligible> {
        let mut reader = Reader { made: Vec::new(), instantiated: 0 };
        let exports = reader.instantiate(component, &HashMap::new(), 0)?;
        let Some(Item::Instance(Some(policy))) = exports.get(INTERFACE) else {
            return Err(Ineligible::Composed);
        };
        match policy.get(DECIDE) {
            Some(Item::Function(Some(decide))) => {
                Ok(Links { instances: reader.made, decide: *decide })
            }
            _ => Err(Ineligible::Composed),
        }
    }
}

/// What a component imports, has or exports. `None` is what is not known: it comes from outside.
#[derive(Clone)]
enum Item<'a> {
    Function(Option<Lifted<'a>>),
    Instance(Option<Rc<Exports<'a>>>),
    Component(Option<&'a [u8]>),
    Module(Option<&'a [u8]>),
    Type,
}

type Exports<'a> = HashMap<&'a str, Item<'a>>;

/// Makes instances, on paper.
struct Reader<'a> {
    made: Vec<CoreInstance<'a>>,
    instantiated: usize,
}

/// The index spaces of a component.
#[derive(Default)]
struct Scope<'a> {
    modules: Vec<Option<&'a [u8]>>,
    core_instances: Vec<CoreExports<'a>>,
    core_functions: Vec<CoreItem<'a>>,
    memories: Vec<CoreItem<'a>>,
    tables: Vec<CoreItem<'a>>,
    globals: Vec<CoreItem<'a>>,
    functions: Vec<Option<Lifted<'a>>>,
    instances: Vec<Option<Rc<Exports<'a>>>>,
    components: Vec<Option<&'a [u8]>>,
    exports: Exports<'a>,
}

impl<'a> Reader<'a> {
    /// What an instance of this component exports, with these imports.
    fn instantiate(
        &mut self,
        component: &'a [u8],
        imports: &Exports<'a>,
        depth: usize,
    ) -> Result<Exports<'a>, Ineligible> {
        self.instantiated += 1;
        if depth == MAX_DEPTH || self.instantiated > MAX_INSTANCES {
            return Err(Ineligible::Composed);
        }
        let mut scope = Scope::default();
        let mut payloads = Parser::new(0).parse_all(component);
        while let Some(payload) = payloads.next() {
            match payload.map_err(unreadable)? {
                Payload::ModuleSection { unchecked_range, .. } => {
                    scope.modules.push(Some(part(component, unchecked_range)?));
                    skip(&mut payloads)?;
                }
                Payload::ComponentSection { unchecked_range, .. } => {
                    scope.components.push(Some(part(component, unchecked_range)?));
                    skip(&mut payloads)?;
                }
                Payload::ComponentImportSection(section) => {
                    for import in section {
                        let import = import.map_err(unreadable)?;
                        let given = imports.get(import.name.name).cloned();
                        scope.push(given.map_or_else(|| from_outside(import.ty), Ok)?);
                    }
                }
                Payload::InstanceSection(section) => {
                    for instance in section {
                        let made = self.core_instance(&scope, instance.map_err(unreadable)?)?;
                        scope.core_instances.push(made);
                    }
                }
                Payload::ComponentAliasSection(section) => {
                    for alias in section {
                        scope.alias(&alias.map_err(unreadable)?)?;
                    }
                }
                Payload::ComponentCanonicalSection(section) => {
                    for function in section {
                        scope.canonical(&function.map_err(unreadable)?)?;
                    }
                }
                Payload::ComponentInstanceSection(section) => {
                    for instance in section {
                        let exports = match instance.map_err(unreadable)? {
                            ComponentInstance::Instantiate { component_index, args } => {
                                let of = *at(&scope.components, component_index)?;
                                let mut given = Exports::new();
                                for arg in &args {
                                    given.insert(arg.name, scope.item(arg.kind, arg.index)?);
                                }
                                self.instantiate(
                                    of.ok_or(Ineligible::Composed)?,
                                    &given,
                                    depth + 1,
                                )?
                            }
                            ComponentInstance::FromExports(listed) => {
                                let mut exports = Exports::new();
                                for export in &listed {
                                    let item = scope.item(export.kind, export.index)?;
                                    exports.insert(export.name.name, item);
                                }
                                exports
                            }
                        };
                        scope.instances.push(Some(Rc::new(exports)));
                    }
                }
                Payload::ComponentExportSection(section) => {
                    for export in section {
                        let export = export.map_err(unreadable)?;
                        // An export is one more of its kind.
                        let item = scope.item(export.kind, export.index)?;
                        scope.exports.insert(export.name.name, item.clone());
                        scope.push(item);
                    }
                }
                Payload::Version { .. }
                | Payload::ComponentTypeSection(_)
                | Payload::CoreTypeSection(_)
                | Payload::CustomSection(_)
                | Payload::End(_) => {}
                _ => return Err(Ineligible::Composed),
            }
        }
        Ok(scope.exports)
    }

    fn core_instance(
        &mut self,
        scope: &Scope<'a>,
        instance: Instance<'a>,
    ) -> Result<CoreExports<'a>, Ineligible> {
        Ok(match instance {
            Instance::Instantiate { module_index, args } => {
                let module = at(&scope.modules, module_index)?.ok_or(Ineligible::Composed)?;
                let mut arguments = HashMap::new();
                for arg in &args {
                    arguments.insert(arg.name, at(&scope.core_instances, arg.index)?.clone());
                }
                if self.made.len() == MAX_INSTANCES {
                    return Err(Ineligible::Composed);
                }
                self.made.push(CoreInstance { module, arguments });
                CoreExports::Of(self.made.len() - 1)
            }
            Instance::FromExports(listed) => {
                let mut items = HashMap::new();
                for export in &listed {
                    let item = *at(scope.core_items(export.kind)?, export.index)?;
                    items.insert(export.name, item);
                }
                CoreExports::Listed(Rc::new(items))
            }
        })
    }
}

impl<'a> Scope<'a> {
    fn core_items(&self, kind: ExternalKind) -> Result<&Vec<CoreItem<'a>>, Ineligible> {
        Ok(match kind {
            ExternalKind::Func => &self.core_functions,
            ExternalKind::Memory => &self.memories,
            ExternalKind::Table => &self.tables,
            ExternalKind::Global => &self.globals,
            ExternalKind::Tag | ExternalKind::FuncExact => return Err(Ineligible::Composed),
        })
    }

    fn item(&self, kind: ComponentExternalKind, index: u32) -> Result<Item<'a>, Ineligible> {
        Ok(match kind {
            ComponentExternalKind::Func => Item::Function(*at(&self.functions, index)?),
            ComponentExternalKind::Instance => Item::Instance(at(&self.instances, index)?.clone()),
            ComponentExternalKind::Component => Item::Component(*at(&self.components, index)?),
            ComponentExternalKind::Module => Item::Module(*at(&self.modules, index)?),
            ComponentExternalKind::Type => Item::Type,
            ComponentExternalKind::Value => return Err(Ineligible::Composed),
        })
    }

    fn push(&mut self, item: Item<'a>) {
        match item {
            Item::Function(function) => self.functions.push(function),
            Item::Instance(instance) => self.instances.push(instance),
            Item::Component(component) => self.components.push(component),
            Item::Module(module) => self.modules.push(module),
            Item::Type => {}
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) -> Result<(), Ineligible> {
        match *alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let item = match at(&self.instances, instance_index)? {
                    Some(instance) => instance.get(name).cloned().ok_or(Ineligible::Composed)?,
                    None => unknown(kind)?,
                };
                self.push(item);
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let instance = at(&self.core_instances, instance_index)?;
                let item = instance.get(name).ok_or(Ineligible::Composed)?;
                match kind {
                    ExternalKind::Func => self.core_functions.push(item),
                    ExternalKind::Memory => self.memories.push(item),
                    ExternalKind::Table => self.tables.push(item),
                    ExternalKind::Global => self.globals.push(item),
                    ExternalKind::Tag | ExternalKind::FuncExact => {
                        return Err(Ineligible::Composed);
                    }
                }
            }
            ComponentAlias::Outer { kind, .. } => match kind {
                ComponentOuterAliasKind::CoreModule => self.modules.push(None),
                ComponentOuterAliasKind::Component => self.components.push(None),
                ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
            },
        }
        Ok(())
    }

    fn canonical(&mut self, function: &CanonicalFunction) -> Result<(), Ineligible> {
        match function {
            CanonicalFunction::Lift { core_func_index, options, .. } => {
                let lifted = self.lifted(*core_func_index, options)?;
                self.functions.push(lifted);
            }
            // All others are core functions: of the host, or by its way another component's.
            _ => self.core_functions.push(CoreItem::Outside),
        }
        Ok(())
    }

    /// A core function that is lifted; `None` if it is in a way that decisions are not.
    fn lifted(
        &self,
        function: u32,
        options: &[CanonicalOption],
    ) -> Result<Option<Lifted<'a>>, Ineligible> {
        let (mut memory, mut realloc, mut post_return) = (None, None, None);
        for option in options {
            match *option {
                CanonicalOption::UTF8 => {}
                CanonicalOption::Memory(index) => memory = Some(*at(&self.memories, index)?),
                CanonicalOption::Realloc(index) => {
                    realloc = Some(*at(&self.core_functions, index)?);
                }
                CanonicalOption::PostReturn(index) => {
                    post_return = Some(*at(&self.core_functions, index)?);
                }
                _ => return Ok(None),
            }
        }
        let function = *at(&self.core_functions, function)?;
        let (Some(memory), Some(realloc)) = (memory, realloc) else { return Ok(None) };
        Ok(Some(Lifted { function, memory, realloc, post_return }))
    }
}

/// What an import is that nothing gives.
fn from_outside<'a>(ty: ComponentTypeRef) -> Result<Item<'a>, Ineligible> {
    unknown(match ty {
        ComponentTypeRef::Func(_) => ComponentExternalKind::Func,
        ComponentTypeRef::Instance(_) => ComponentExternalKind::Instance,
        ComponentTypeRef::Component(_) => ComponentExternalKind::Component,
        ComponentTypeRef::Module(_) => ComponentExternalKind::Module,
        ComponentTypeRef::Type(_) => ComponentExternalKind::Type,
        ComponentTypeRef::Value(_) => ComponentExternalKind::Value,
    })
}

fn unknown<'a>(kind: ComponentExternalKind) -> Result<Item<'a>, Ineligible> {
    Ok(match kind {
        ComponentExternalKind::Func => Item::Function(None),
        ComponentExternalKind::Instance => Item::Instance(None),
        ComponentExternalKind::Component => Item::Component(None),
        ComponentExternalKind::Module => Item::Module(None),
        ComponentExternalKind::Type => Item::Type,
        ComponentExternalKind::Value => return Err(Ineligible::Composed),
    })
}

fn part(component: &[u8], range: std::ops::Range<usize>) -> Result<&[u8], Ineligible> {
    component.get(range).ok_or(Ineligible::Composed)
}

/// Passes over a module or a component whose head was read.
fn skip<'a>(
    payloads: &mut impl Iterator<Item = wasmparser::Result<Payload<'a>>>,
) -> Result<(), Ineligible> {
    let mut open = 1_u32;
    while open > 0 {
        match payloads.next().ok_or(Ineligible::Composed)?.map_err(unreadable)? {
            Payload::End(_) => open -= 1,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => open += 1,
            _ => {}
        }
    }
    Ok(())
}

/// What a parser says of what it cannot read.
pub(super) fn unreadable(error: impl Display) -> Ineligible {
    Ineligible::Rewriting(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{CoreItem, Links};
    use crate::guest::DEFAULT_GUEST;

    #[test]
    fn built_in_guest_is_one_core_module() {
        let links = Links::of(DEFAULT_GUEST).expect("it is read");
        assert_eq!(links.instances.len(), 1);
        let decide = links.decide;
        assert_eq!(decide.memory, CoreItem::Export(0, "memory"));
        assert_eq!(decide.realloc, CoreItem::Export(0, "cabi_realloc"));
        let name = "innkeeper:policy/policy@0.1.0#decide";
        assert_eq!(decide.function, CoreItem::Export(0, name));
        let name = "cabi_post_innkeeper:policy/policy@0.1.0#decide";
        assert_eq!(decide.post_return, Some(CoreItem::Export(0, name)));
    }
}
