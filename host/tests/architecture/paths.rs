//! Where a path in Rust leads: to which file of the crate.

use std::collections::BTreeMap;

/// The names from the root of the crate to a module, or to what is in one; or those of a path, as
/// they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Names(Vec<String>);

/// The crate as `main.rs` calls it.
const OWN_NAME: &str = "innkeeper";

impl Names {
    /// The module that a file holds.
    pub fn of_file(path: &str) -> Names {
        let mut names: Vec<_> =
            path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        names.pop_if(|last| matches!(last.as_str(), "mod" | "lib"));
        Names(names)
    }

    /// One more name.
    pub fn with(&self, name: &str) -> Names {
        Names([&self.0[..], &[name.to_owned()]].concat())
    }

    pub fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    pub fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is that module, or in it.
    pub fn is_in(&self, module: &Names) -> bool {
        self.0.starts_with(&module.0)
    }

    /// Whether these names, joined by `::`, follow one another in it.
    pub fn has(&self, names: &str) -> bool {
        format!("::{}::", self.0.join("::")).contains(&format!("::{names}::"))
    }

    fn then(&self, rest: &[String]) -> Names {
        Names([&self.0[..], rest].concat())
    }
}

/// What the modules of a crate can name.
#[derive(Default)]
pub struct Paths {
    /// Modules, each with its file.
    modules: BTreeMap<Names, String>,
    /// What a `use` brings into a module: the path that is written there, and in which module.
    imports: BTreeMap<Names, (Names, Names)>,
}

impl Paths {
    pub fn add_module(&mut self, module: Names, file: &str) {
        self.modules.insert(module, file.to_owned());
    }

    pub fn add_import(&mut self, name: Names, module: Names, written: Names) {
        self.imports.insert(name, (module, written));
    }

    /// The path from the root of the crate, of one that is written in this module. `None` if it
    /// leads out of the crate.
    pub fn absolute(&self, module: &Names, written: &Names) -> Option<Names> {
        let (first, rest) = written.0.split_first()?;
        let here = module.with(first);
        match first.as_str() {
            "crate" | OWN_NAME => Some(Names(rest.to_vec())),
            "self" => Some(module.then(rest)),
            "super" => {
                let (_, above) = module.0.split_last()?;
                let supers = rest.iter().take_while(|name| *name == "super").count();
                let above = &above[..above.len().checked_sub(supers)?];
                Some(Names([above, &rest[supers..]].concat()))
            }
            _ if self.modules.contains_key(&here) => Some(here.then(rest)),
            _ => {
                let (module, imported) = self.imports.get(&here)?;
                // `use foo::foo` names what is outside.
                let is_itself = imported.first() == Some(first.as_str());
                let target = (!is_itself).then(|| self.absolute(module, imported))?;
                target.map(|target| target.then(rest))
            }
        }
    }

    /// The file that holds what this path from the root leads to, where modules that pass it on
    /// are passed over. `None` if it leads to a module as a whole.
    pub fn file(&self, path: &Names) -> Option<&str> {
        let mut module = Names::default();
        for (at, name) in path.0.iter().enumerate() {
            let next = module.with(name);
            if self.modules.contains_key(&next) {
                module = next;
                continue;
            }
            let passed_on = self.imports.get(&next).and_then(|(module, written)| {
                self.absolute(module, written).filter(|target| *target != next)
            });
            return match passed_on {
                Some(target) => self.file(&target.then(&path.0[at + 1..])),
                None => self.modules.get(&module).map(String::as_str),
            };
        }
        None
    }
}
