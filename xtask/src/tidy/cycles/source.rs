//! The definitions and imports of a source file, by module.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItemFn, Item, ItemMod, ItemUse, Macro, Meta, UseTree};

/// A module's path from its crate's root, which is empty.
pub(super) type ModulePath = Vec<String>;

/// The contents of a module.
#[derive(Default)]
pub(super) struct Module {
    /// Names of the items it defines.
    pub(super) items: BTreeSet<String>,
    /// Paths that `use` declarations import, by the name in scope.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// Paths imported by `use …::*`.
    pub(super) globs: Vec<Vec<String>>,
    /// Every path in its code, including those of `use` declarations.
    pub(super) paths: BTreeSet<Vec<String>>,
}

/// The modules of a file, including inline ones.
pub(super) struct Source {
    /// The modules, by path.
    pub(super) modules: BTreeMap<ModulePath, Module>,
    /// Declared modules in other files that are compiled for tests only.
    pub(super) for_tests: Vec<ModulePath>,
}

impl Source {
    /// Parses the file of the module `path`.
    pub(super) fn parse(path: ModulePath, text: &str) -> syn::Result<Self> {
        let mut reader = Reader {
            modules: BTreeMap::from([(path.clone(), Module::default())]),
            for_tests: Vec::new(),
            path,
        };
        reader.visit_file(&syn::parse_file(text)?);
        Ok(Self {
            modules: reader.modules,
            for_tests: reader.for_tests,
        })
    }
}

struct Reader {
    modules: BTreeMap<ModulePath, Module>,
    for_tests: Vec<ModulePath>,
    path: ModulePath,
}

impl Reader {
    fn module(&mut self) -> &mut Module {
        self.modules.entry(self.path.clone()).or_default()
    }

    fn name(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.module().paths.insert(path);
        }
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path);
            }
            UseTree::Name(tree) => self.import_as(&tree.ident, &tree.ident, path),
            UseTree::Rename(tree) => self.import_as(&tree.ident, &tree.rename, path),
            UseTree::Glob(_) => self.module().globs.push(path),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path.clone());
                }
            }
        }
    }

    /// Imports `name` of `path` under another name; `a::{self}` means `a`.
    fn import_as(&mut self, name: &Ident, scope_name: &Ident, mut path: Vec<String>) {
        let mut scope_name = scope_name.to_string();
        if name == "self" {
            scope_name = path.last().cloned().unwrap_or(scope_name);
        } else {
            path.push(name.to_string());
        }
        self.name(path.clone());
        self.module().imports.insert(scope_name, path);
    }

    /// Collects paths from a macro's tokens: everything that looks like a path counts as one.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.name(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                token => {
                    self.name(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = token {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.name(path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = described(item);
        if attributes.iter().any(is_for_tests) {
            if let Item::Mod(ItemMod {
                ident, content: None, ..
            }) = item
            {
                self.for_tests.push(child(&self.path, ident));
            }
            return;
        }
        if let Some(name) = name {
            self.module().items.insert(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() {
            let inner = child(&self.path, &item.ident);
            let outer = std::mem::replace(&mut self.path, inner);
            self.module();
            visit::visit_item_mod(self, item);
            self.path = outer;
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&item.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string());
        if path.leading_colon.is_none() {
            self.name(segments.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }
}

fn child(path: &ModulePath, name: &Ident) -> ModulePath {
    let mut path = path.clone();
    path.push(name.to_string());
    path
}

/// An item's attributes, and the name it defines.
fn described(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::TraitAlias(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Mod(item) => (&item.attrs, None),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}

/// Returns true for `#[cfg(test)]` and `#[cfg(all(test, …))]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else {
        return false;
    };
    let condition = list.tokens.to_string().replace(' ', "");
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
}
