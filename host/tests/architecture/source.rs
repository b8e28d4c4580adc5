//! Reads Rust files as far as an architecture shows in them: modules, paths, literals, lines.
//!
//! A file is read as tokens: a path in a macro counts like any other, and one in a comment or in
//! a string does not. What is compiled for tests alone (`#[cfg(test)]`) is left out, save from the
//! count of lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::paths::{Names, Paths};

/// What is in a file.
#[derive(Default)]
pub struct File {
    pub lines: usize,
    /// Paths to other items, each with the module that it stands in.
    pub paths: Vec<(Names, Names)>,
    /// What is passed on by `pub use`, in the same form.
    pub passed_on: Vec<(Names, Names)>,
    /// String and byte literals, as they are written.
    pub literals: Vec<String>,
    /// Names and keywords, outside of `use`.
    pub words: Vec<String>,
}

/// The files of a crate by their paths, and what its modules can name.
#[derive(Default)]
pub struct Source {
    pub files: BTreeMap<String, File>,
    pub paths: Paths,
}

impl Source {
    /// Reads all files below this folder.
    pub fn read(folder: &Path) -> Source {
        let mut texts = Vec::new();
        collect(folder, folder, &mut texts);
        Source::of(texts)
    }

    /// Reads files of which path and text are given.
    pub fn of(texts: impl IntoIterator<Item = (String, String)>) -> Source {
        let mut source = Source::default();
        let mut tests = Vec::new();
        for (path, text) in texts {
            let tokens: TokenStream = text.parse().expect(&path);
            let module = Names::of_file(&path);
            source.paths.add_module(module.clone(), &path);
            let file = File { lines: text.lines().count(), ..File::default() };
            let mut reader = Reader { path: &path, file, paths: &mut source.paths, tests };
            reader.read(tokens, &module);
            let file = reader.file;
            tests = reader.tests;
            source.files.insert(path, file);
        }
        for (path, file) in &mut source.files {
            if tests.iter().any(|module| Names::of_file(path).is_in(module)) {
                *file = File { lines: file.lines, ..File::default() };
            }
        }
        source
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            texts.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Reads one file.
struct Reader<'a> {
    path: &'a str,
    file: File,
    paths: &'a mut Paths,
    /// Modules that are for tests alone.
    tests: Vec<Names>,
}

impl Reader<'_> {
    fn read(&mut self, tokens: TokenStream, module: &Names) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut is_public) = (0, false);
        while let Some(token) = tokens.get(at) {
            let was_public = std::mem::take(&mut is_public);
            at = match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    self.attribute(&tokens, at, module)
                }
                TokenTree::Ident(word) if *word == "pub" => {
                    is_public = true;
                    let is_bounded = group(&tokens, at + 1, Delimiter::Parenthesis).is_some();
                    at + 1 + usize::from(is_bounded)
                }
                TokenTree::Ident(word) if *word == "use" => {
                    let end = find(&tokens, at, ';');
                    self.import(&tokens[at + 1..end], module, was_public);
                    end
                }
                TokenTree::Ident(word) if *word == "mod" => self.module(&tokens, at, module),
                TokenTree::Ident(_) => self.path(&tokens, at, module),
                TokenTree::Literal(literal) => {
                    self.file.literals.push(literal.to_string());
                    at + 1
                }
                TokenTree::Group(group) => {
                    self.read(group.stream(), module);
                    at + 1
                }
                TokenTree::Punct(_) => at + 1,
            };
        }
    }

    /// Passes over an attribute, and over what follows if that is for tests alone.
    fn attribute(&mut self, tokens: &[TokenTree], at: usize, module: &Names) -> usize {
        let Some(attribute) = group(tokens, at + 1, Delimiter::Bracket) else { return at + 1 };
        let text = attribute.to_string().replace(' ', "");
        let mut end = at + 2;
        if text != "cfg(test)" {
            return end;
        }
        while let Some(token) = tokens.get(end) {
            end += 1;
            match token {
                TokenTree::Ident(word) if *word == "use" => return find(tokens, end, ';'),
                TokenTree::Ident(word) if *word == "mod" => {
                    self.tests.push(module.with(&word_at(tokens, end).unwrap_or_default()));
                }
                TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => break,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                _ => {}
            }
        }
        end
    }

    fn module(&mut self, tokens: &[TokenTree], at: usize, module: &Names) -> usize {
        if let Some(name) = word_at(tokens, at + 1)
            && let Some(content) = group(tokens, at + 2, Delimiter::Brace)
        {
            let inner = module.with(&name);
            self.paths.add_module(inner.clone(), self.path);
            self.read(content, &inner);
            return at + 3;
        }
        at + 2
    }

    fn import(&mut self, tree: &[TokenTree], module: &Names, is_public: bool) {
        for branch in tree.split(|token| is_punct(token, ',')) {
            self.branch(branch, &Names::default(), module, is_public);
        }
    }

    /// Reads one branch of a `use`, which begins behind this prefix.
    fn branch(&mut self, tokens: &[TokenTree], prefix: &Names, module: &Names, is_public: bool) {
        let mut names = prefix.clone();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(word) if *word == "as" => break,
                TokenTree::Ident(word) if *word == "self" && !names.is_empty() => {}
                TokenTree::Ident(word) => names = names.with(&word.to_string()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|token| is_punct(token, ',')) {
                        self.branch(branch, &names, module, is_public);
                    }
                    return;
                }
                _ => {}
            }
            at += 1;
        }
        let Some(last) = names.last() else { return };
        let name = word_at(tokens, at + 1).unwrap_or_else(|| last.to_owned());
        self.paths.add_import(module.with(&name), module.clone(), names.clone());
        let list = if is_public { &mut self.file.passed_on } else { &mut self.file.paths };
        list.push((module.clone(), names));
    }

    /// Reads a path, or a single name.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, module: &Names) -> usize {
        let mut names = Names::default();
        // Behind `>::` it belongs to a type.
        let is_start = at < 2 || !is_colons(tokens, at - 2);
        while let Some(name) = word_at(tokens, at) {
            self.file.words.push(name.clone());
            names = names.with(&name);
            at += 1;
            if !is_colons(tokens, at) || word_at(tokens, at + 2).is_none() {
                break;
            }
            at += 2;
        }
        if is_start && names.len() > 1 {
            self.file.paths.push((module.clone(), names));
        }
        at
    }
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// Whether `::` stands here.
fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at..at + 2).is_some_and(|pair| pair.iter().all(|token| is_punct(token, ':')))
}

fn word_at(tokens: &[TokenTree], at: usize) -> Option<String> {
    match tokens.get(at) {
        Some(TokenTree::Ident(word)) => Some(word.to_string()),
        _ => None,
    }
}

/// What a group with these delimiters holds, if one stands here.
fn group(tokens: &[TokenTree], at: usize, delimiter: Delimiter) -> Option<TokenStream> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

/// Where this character comes next, or the end.
fn find(tokens: &[TokenTree], at: usize, character: char) -> usize {
    (at..tokens.len()).find(|&at| is_punct(&tokens[at], character)).unwrap_or(tokens.len())
}
