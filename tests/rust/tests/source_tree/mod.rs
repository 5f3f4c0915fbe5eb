//! Reads a crate's sources: which file uses which, and which names of other crates. Knows no rule.
//!
//! Every `use` and every path in the code is followed through `mod` declarations and re-exports to the
//! file that defines the item. Neither `mod` nor a re-export is a use, and what is compiled for tests only
//! does not count.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod, ItemUse, LitStr, Macro, Path, UseTree, Visibility};

/// Paths below `src`, with their text.
pub(crate) type Sources = BTreeMap<String, String>;

/// What the files of a crate use.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The files that make up the product.
    pub(crate) files: BTreeSet<String>,
    /// Files that no `mod` leads to.
    pub(crate) orphans: BTreeSet<String>,
    /// Which file uses items of which other one, and by what path.
    pub(crate) uses: BTreeMap<String, BTreeMap<String, String>>,
    /// The full paths into other crates by file.
    pub(crate) foreign: BTreeMap<String, BTreeSet<String>>,
    /// The string literals by file.
    pub(crate) literals: BTreeMap<String, BTreeSet<String>>,
}

type Names = Vec<String>;

#[derive(Debug)]
struct Import {
    /// The name it gives; `None`: every name of the module.
    name: Option<String>,
    path: Names,
    is_reexport: bool,
}

#[derive(Debug, Default)]
struct Module {
    file: String,
    items: HashSet<String>,
    modules: HashSet<String>,
    imports: Vec<Import>,
    paths: Vec<Names>,
}

enum Found {
    Module(Names),
    Item(String),
    Foreign(Names),
}

impl Tree {
    pub(crate) fn read(sources: &Sources) -> Self {
        let mut reader = Reader {
            sources,
            modules: BTreeMap::new(),
            for_tests: BTreeSet::new(),
            tree: Self::default(),
        };
        reader.file("lib.rs", "", &Names::new(), false);
        let Reader {
            modules,
            for_tests,
            mut tree,
            ..
        } = reader;
        tree.files = modules.values().map(|module| module.file.clone()).collect();
        tree.orphans = sources
            .keys()
            .filter(|file| !tree.files.contains(*file) && !for_tests.contains(*file))
            .cloned()
            .collect();
        let modules = Modules(modules);
        for (at, module) in &modules.0 {
            let imported = module.imports.iter().map(|import| &import.path);
            let reexported: HashSet<&Names> = module
                .imports
                .iter()
                .filter(|import| import.is_reexport)
                .map(|import| &import.path)
                .collect();
            for path in imported.chain(&module.paths) {
                match modules.resolve(at, path, &mut HashSet::new()) {
                    Some(Found::Item(file))
                        if file != module.file && !reexported.contains(path) =>
                    {
                        let uses = tree.uses.entry(module.file.clone()).or_default();
                        uses.entry(file).or_insert_with(|| path.join("::"));
                    }
                    // A single name is a variable's more often than a crate's.
                    Some(Found::Foreign(path)) if path.len() > 1 => {
                        let foreign = tree.foreign.entry(module.file.clone()).or_default();
                        foreign.insert(path.join("::"));
                    }
                    _ => {}
                }
            }
        }
        tree
    }

    /// For each file in a circle, the shortest one through it; each circle once.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let mut circles: BTreeMap<BTreeSet<String>, Vec<String>> = BTreeMap::new();
        for file in self.uses.keys() {
            if let Some(circle) = self.circle_through(file) {
                circles
                    .entry(circle.iter().cloned().collect())
                    .or_insert(circle);
            }
        }
        circles.into_values().collect()
    }

    fn circle_through(&self, start: &str) -> Option<Vec<String>> {
        let mut ways = vec![vec![start.to_owned()]];
        let mut seen = HashSet::new();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let Some(next) = way.last().and_then(|last| self.uses.get(last)) else {
                    continue;
                };
                for file in next.keys() {
                    let on = [way.clone(), vec![file.clone()]].concat();
                    if file == start {
                        return Some(on);
                    }
                    if seen.insert(file) {
                        longer.push(on);
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

struct Modules(BTreeMap<Names, Module>);

impl Modules {
    fn resolve(
        &self,
        at: &[String],
        path: &[String],
        asked: &mut HashSet<(Names, String)>,
    ) -> Option<Found> {
        let mut module = at.to_vec();
        let mut rest = path;
        loop {
            match rest.first()?.as_str() {
                // A path that begins with `::`.
                "" => return Some(Found::Foreign(rest[1..].to_vec())),
                "crate" => module.clear(),
                "self" => {}
                "super" => {
                    module.pop();
                }
                _ if rest.len() < path.len() => return self.follow(module, rest, asked),
                _ => {
                    let found = self.follow(module, rest, asked);
                    return found.or_else(|| Some(Found::Foreign(path.to_vec())));
                }
            }
            rest = &rest[1..];
            if rest.is_empty() {
                return Some(Found::Module(module));
            }
        }
    }

    fn follow(
        &self,
        mut at: Names,
        path: &[String],
        asked: &mut HashSet<(Names, String)>,
    ) -> Option<Found> {
        for (index, name) in path.iter().enumerate() {
            let rest = &path[index + 1..];
            match self.look_up(&at, name, !rest.is_empty(), asked)? {
                Found::Module(module) => at = module,
                Found::Item(file) => return Some(Found::Item(file)),
                Found::Foreign(path) => return Some(Found::Foreign([&path, rest].concat())),
            }
        }
        Some(Found::Module(at))
    }

    fn look_up(
        &self,
        at: &[String],
        name: &str,
        goes_on: bool,
        asked: &mut HashSet<(Names, String)>,
    ) -> Option<Found> {
        let module = self.0.get(at)?;
        let as_module = || {
            let is_one = module.modules.contains(name);
            is_one.then(|| Found::Module([at, &[name.to_owned()]].concat()))
        };
        // A module and a function may have one name.
        if goes_on && let Some(found) = as_module() {
            return Some(found);
        }
        if module.items.contains(name) {
            return Some(Found::Item(module.file.clone()));
        }
        if !asked.insert((at.to_vec(), name.to_owned())) {
            return None;
        }
        let named = module
            .imports
            .iter()
            .filter(|import| import.name.as_deref() == Some(name));
        for import in named {
            if let Some(found) = self.resolve(at, &import.path, asked) {
                return Some(found);
            }
        }
        as_module().or_else(|| {
            let all = module.imports.iter().filter(|import| import.name.is_none());
            all.into_iter()
                .find_map(|import| match self.resolve(at, &import.path, asked)? {
                    Found::Module(of) => self.look_up(&of, name, goes_on, asked),
                    _ => None,
                })
        })
    }
}

struct Reader<'a> {
    sources: &'a Sources,
    modules: BTreeMap<Names, Module>,
    for_tests: BTreeSet<String>,
    tree: Tree,
}

impl Reader<'_> {
    /// Reads the file of module `at`, whose submodules lie in `directory`.
    fn file(&mut self, file: &str, directory: &str, at: &Names, is_for_tests: bool) {
        let text = &self.sources[file];
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        if is_for_tests {
            self.for_tests.insert(file.to_owned());
        }
        self.module(&parsed.items, file, directory, at, is_for_tests);
    }

    fn module(
        &mut self,
        items: &[Item],
        file: &str,
        directory: &str,
        at: &Names,
        is_for_tests: bool,
    ) {
        let mut visitor = Visitor::default();
        file.clone_into(&mut visitor.module.file);
        for item in items {
            if let Item::Mod(submodule) = item {
                let is_for_tests = is_for_tests || is_test_only(&submodule.attrs);
                self.submodule(submodule, file, directory, at, is_for_tests);
                if !is_for_tests {
                    visitor.module.modules.insert(submodule.ident.to_string());
                }
            }
            visitor.visit_item(item);
        }
        if !is_for_tests {
            let literals = self.tree.literals.entry(file.to_owned()).or_default();
            literals.extend(visitor.literals);
            self.modules.insert(at.clone(), visitor.module);
        }
    }

    fn submodule(
        &mut self,
        item: &ItemMod,
        file: &str,
        directory: &str,
        at: &Names,
        is_for_tests: bool,
    ) {
        let name = item.ident.to_string();
        let at = [at.as_slice(), std::slice::from_ref(&name)].concat();
        let within = |directory: &str, name: &str| match directory {
            "" => name.to_owned(),
            _ => format!("{directory}/{name}"),
        };
        let below = within(directory, &name);
        if let Some((_, items)) = &item.content {
            return self.module(items, file, &below, &at, is_for_tests);
        }
        if let Some(elsewhere) = path_attribute(&item.attrs) {
            let here = file.rsplit_once('/').map_or("", |(directory, _)| directory);
            let file = within(here, &elsewhere);
            let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
            return self.file(&file, directory, &at, is_for_tests);
        }
        let candidates = [format!("{below}.rs"), format!("{below}/mod.rs")];
        let found = candidates
            .into_iter()
            .find(|file| self.sources.contains_key(file));
        let found = found.unwrap_or_else(|| panic!("{file}: no file for mod {name}"));
        self.file(&found, &below, &at, is_for_tests);
    }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                syn::Expr::Lit(literal) => match &literal.lit {
                    syn::Lit::Str(path) => Some(path.value()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
}

/// Whether something is compiled for tests only, such as by `#[cfg(all(test, unix))]`.
fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        let condition = list.tokens.to_string();
        let mut words = condition.split(|c: char| !c.is_alphanumeric());
        list.path.is_ident("cfg")
            && words.any(|word| word == "test" || word == "doctest")
            && !condition.contains("not")
            && !condition.contains("any")
    })
}

#[derive(Default)]
struct Visitor {
    module: Module,
    literals: BTreeSet<String>,
}

impl Visitor {
    fn import(&mut self, tree: &UseTree, before: &[String], is_reexport: bool) {
        let on = |name: String| [before, &[name]].concat();
        let (name, path) = match tree {
            UseTree::Path(path) => {
                return self.import(&path.tree, &on(path.ident.to_string()), is_reexport);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before, is_reexport);
                }
                return;
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.last().cloned(), before.to_vec())
            }
            UseTree::Name(name) => (Some(name.ident.to_string()), on(name.ident.to_string())),
            UseTree::Rename(renamed) if renamed.ident == "self" => {
                (Some(renamed.rename.to_string()), before.to_vec())
            }
            UseTree::Rename(renamed) => (
                Some(renamed.rename.to_string()),
                on(renamed.ident.to_string()),
            ),
            UseTree::Glob(_) => (None, before.to_vec()),
        };
        self.module.imports.push(Import {
            name,
            path,
            is_reexport,
        });
    }

    /// The paths and literals of a macro's arguments, which are no syntax tree.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Names::new();
        let mut before = String::new();
        let mut end = |path: &mut Names| {
            if !path.is_empty() {
                self.module.paths.push(std::mem::take(path));
            }
        };
        let mut inner = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if before != "::" {
                        end(&mut path);
                    }
                    if before != "." {
                        path.push(name.to_string());
                    }
                    before.clear();
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' && before == ":" => {
                    before.push(':');
                }
                TokenTree::Punct(sign) => before = sign.as_char().to_string(),
                TokenTree::Group(group) => {
                    let is_attribute = before == "#" && group.delimiter() == Delimiter::Bracket;
                    if !is_attribute {
                        inner.push(group.stream());
                    }
                    before.clear();
                    end(&mut path);
                }
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<LitStr>(&literal.to_string()) {
                        self.literals.insert(text.value());
                    }
                    before.clear();
                    end(&mut path);
                }
            }
        }
        end(&mut path);
        for tokens in inner {
            self.tokens(tokens);
        }
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item(&mut self, item: &'ast Item) {
        let (name, attributes) = match item {
            Item::Const(it) => (Some(&it.ident), &it.attrs),
            Item::Enum(it) => (Some(&it.ident), &it.attrs),
            Item::Fn(it) => (Some(&it.sig.ident), &it.attrs),
            Item::Macro(it) => (it.ident.as_ref(), &it.attrs),
            Item::Static(it) => (Some(&it.ident), &it.attrs),
            Item::Struct(it) => (Some(&it.ident), &it.attrs),
            Item::Trait(it) => (Some(&it.ident), &it.attrs),
            Item::Type(it) => (Some(&it.ident), &it.attrs),
            Item::Union(it) => (Some(&it.ident), &it.attrs),
            Item::Impl(it) => (None, &it.attrs),
            Item::Use(it) => (None, &it.attrs),
            // Submodules are modules of their own; the rest defines nothing.
            _ => return,
        };
        if !is_test_only(attributes) {
            self.module.items.extend(name.map(ToString::to_string));
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_test_only = matches!(item, ImplItem::Fn(function) if is_test_only(&function.attrs));
        if !is_test_only {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let before: &[String] = if item.leading_colon.is_some() {
            &[String::new()]
        } else {
            &[]
        };
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, before, is_reexport);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let root = path.leading_colon.map(|_| String::new());
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.module
            .paths
            .push(root.into_iter().chain(names).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, it: &'ast Macro) {
        self.visit_path(&it.path);
        self.tokens(it.tokens.clone());
    }

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.literals.insert(literal.value());
    }

    /// Documentation and lints are no code.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}
