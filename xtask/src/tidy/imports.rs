//! Imports between the modules of a crate: downward only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenTree};

use super::sources::{RustFile, Sources, is_punct};

/// The modules that a module may import, top first. `all` is open to every module.
struct Layers {
    root: &'static str,
    all: &'static [&'static str],
    modules: &'static [(&'static str, &'static [&'static str])],
}

const LAYERS: [Layers; 2] = [
    Layers {
        root: "crates/trunkline",
        all: &["error", "redact"],
        modules: &[
            ("session", &["pool", "connection", "body", "cookies", "content_type", "stats", "timeouts"]),
            ("pool", &["connection", "body", "cookies", "content_type", "stats", "timeouts"]),
            ("connection", &["body", "cookies", "content_type", "stats", "timeouts"]),
            ("body", &["content_type", "files"]),
            ("cookies", &["files"]),
            ("content_type", &[]),
            ("files", &[]),
            ("stats", &[]),
            ("timeouts", &[]),
            ("error", &[]),
            ("redact", &[]),
        ],
    },
    Layers {
        root: "apps/register",
        all: &["settings"],
        modules: &[
            ("run", &["web", "ops", "outbox", "accounts", "mail", "dev_mail", "store", "telemetry"]),
            ("ops", &["web", "outbox", "accounts", "dev_mail", "store"]),
            ("web", &["outbox", "accounts", "dev_mail", "store"]),
            ("outbox", &["accounts", "mail", "store"]),
            ("accounts", &["store"]),
            ("mail", &[]),
            ("dev_mail", &[]),
            ("store", &[]),
            ("telemetry", &[]),
            ("settings", &[]),
        ],
    },
];

/// Crates and paths that only `connection` of the library may name: another HTTP engine, TLS
/// library or socket changes that folder alone.
const ENGINES: [&[&str]; 5] = [&["hyper"], &["hyper_util"], &["rustls"], &["tokio_rustls"], &["tokio", "net"]];

/// Imports follow the layers of docs/ARCHITECTURE.md.
pub(super) fn order(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for layers in &LAYERS {
        let graph = Graph::of(sources, Path::new(layers.root));
        let known: BTreeMap<&str, &[&str]> = layers.modules.iter().copied().collect();
        for (module, file) in &graph.modules {
            if !known.contains_key(module.as_str()) {
                faults.push(format!("{}:1: `{module}` has no layer in xtask/src/tidy/imports.rs", file.display()));
            }
        }
        for import in &graph.imports {
            let allowed = known.get(import.from.as_str()).copied().unwrap_or_default();
            if known.contains_key(import.from.as_str())
                && !allowed.contains(&import.to.as_str())
                && !layers.all.contains(&import.to.as_str())
            {
                faults.push(format!("{}: `{}` must not import `{}`", import.place, import.from, import.to));
            }
        }
    }
    faults
}

/// No two modules of a crate import each other, directly or through others, if one is a folder.
pub(super) fn cycles(sources: &Sources) -> Vec<String> {
    let roots: BTreeSet<PathBuf> = sources.rust.iter().map(RustFile::crate_root).collect();
    let mut faults = Vec::new();
    for root in roots {
        let graph = Graph::of(sources, &root);
        for import in &graph.imports {
            let is_folder = graph.folders.contains(&import.from) || graph.folders.contains(&import.to);
            if is_folder && graph.reaches(&import.to, &import.from) {
                faults.push(format!(
                    "{}: `{}` imports `{}`, which imports it in turn",
                    import.place, import.from, import.to
                ));
            }
        }
    }
    faults
}

/// Only `connection` names the HTTP engine, the TLS library and the sockets.
pub(super) fn engines(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for file in &sources.rust {
        let Some(inside) = file.in_source().filter(|_| file.crate_root() == Path::new("crates/trunkline")) else {
            continue;
        };
        if file.is_test() || inside.starts_with("connection") {
            continue;
        }
        for path in paths(&file.product()) {
            if names_engine(&path.names) {
                let (file, line, path) = (file.path.display(), path.line, path.names.join("::"));
                faults.push(format!("{file}:{line}: only `connection` may name `{path}`"));
            }
        }
    }
    faults
}

/// True for a path below one of [`ENGINES`].
fn names_engine(path: &[String]) -> bool {
    let is_start = |engine: &[&str]| engine.len() <= path.len() && engine.iter().zip(path).all(|(a, b)| a == b);
    ENGINES.iter().any(|engine| is_start(engine))
}

/// The imports between the top-level modules of a crate.
struct Graph {
    /// Each module, and one file of it.
    modules: BTreeMap<String, PathBuf>,
    folders: BTreeSet<String>,
    imports: Vec<Import>,
}

struct Import {
    from: String,
    to: String,
    place: String,
}

impl Graph {
    fn of(sources: &Sources, root: &Path) -> Self {
        let files: Vec<&RustFile> =
            sources.rust.iter().filter(|file| file.crate_root() == root && file.in_source().is_some()).collect();
        let exported = exports(&files);
        let mut graph = Self { modules: BTreeMap::new(), folders: BTreeSet::new(), imports: Vec::new() };
        for file in files.iter().filter(|file| !file.is_test()) {
            let inside = file.in_source().expect("only files of src are listed");
            let module = module_of(inside);
            if module == "lib" || module == "main" || module == "bin" {
                continue;
            }
            if inside.components().count() > 1 {
                graph.folders.insert(module.clone());
            }
            graph.modules.entry(module.clone()).or_insert_with(|| file.path.clone());
            let depth = inside.components().count() - usize::from(inside.ends_with("mod.rs"));
            for path in paths(&file.product()) {
                let Some(first) = path.below_root(depth) else { continue };
                let to = exported.get(first).map_or(first, String::as_str).to_owned();
                if to != module {
                    let place = format!("{}:{}", file.path.display(), path.line);
                    graph.imports.push(Import { from: module.clone(), to, place });
                }
            }
        }
        graph.imports.retain(|import| graph.modules.contains_key(&import.to));
        graph
    }

    fn reaches(&self, from: &str, to: &str) -> bool {
        let mut reached = BTreeSet::from([from]);
        loop {
            let before = reached.len();
            for import in &self.imports {
                if reached.contains(import.from.as_str()) {
                    reached.insert(&import.to);
                }
            }
            if reached.contains(to) || reached.len() == before {
                return reached.contains(to);
            }
        }
    }
}

/// Items that `lib.rs` or `main.rs` exports, with the module that defines them.
fn exports(files: &[&RustFile]) -> BTreeMap<String, String> {
    let roots = files.iter().filter(|file| {
        file.in_source().is_some_and(|inside| inside == Path::new("lib.rs") || inside == Path::new("main.rs"))
    });
    let mut exported = BTreeMap::new();
    for file in roots {
        for path in paths(&file.product()).into_iter().filter(|path| path.is_use) {
            let names: Vec<&String> = path.names.iter().filter(|name| *name != "crate" && *name != "self").collect();
            if let [module, .., item] = names[..] {
                exported.insert(item.clone(), module.clone());
            }
        }
    }
    exported
}

/// The top-level module of a file below `src`.
fn module_of(inside: &Path) -> String {
    inside.with_extension("").iter().next().unwrap_or_default().to_string_lossy().into_owned()
}

/// A path of the source: imported, or written out.
struct CodePath {
    names: Vec<String>,
    line: usize,
    is_use: bool,
}

impl CodePath {
    /// The first name below the crate's root, as seen from a module of this depth.
    fn below_root(&self, depth: usize) -> Option<&str> {
        let ups = self.names.iter().take_while(|name| *name == "super").count();
        let rest = &self.names[ups..];
        match self.names.first()?.as_str() {
            "crate" => self.names.get(1).map(String::as_str),
            "super" if ups >= depth => rest.first().map(String::as_str),
            _ => None,
        }
    }
}

/// Every path of two names or more, those of `use` trees spread out.
fn paths(tokens: &[TokenTree]) -> Vec<CodePath> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(keyword) if keyword == "use" => {
                let end = tokens[at..].iter().position(|token| is_punct(token, ';'));
                let end = end.map_or(tokens.len(), |end| at + end);
                use_tree(&tokens[at + 1..end], &[], &mut found);
                at = end + 1;
            }
            TokenTree::Ident(_) => {
                let (path, next) = written_path(tokens, at);
                if path.names.len() > 1 {
                    found.push(path);
                }
                at = next;
            }
            TokenTree::Group(group) => {
                found.extend(paths(&group.stream().into_iter().collect::<Vec<_>>()));
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

fn written_path(tokens: &[TokenTree], start: usize) -> (CodePath, usize) {
    let mut path = CodePath { names: Vec::new(), line: tokens[start].span().start().line, is_use: false };
    let mut at = start;
    while let Some(TokenTree::Ident(name)) = tokens.get(at) {
        path.names.push(name.to_string());
        at += 1;
        match tokens.get(at..at + 2) {
            Some([first, second]) if is_punct(first, ':') && is_punct(second, ':') => at += 2,
            _ => break,
        }
    }
    (path, at.max(start + 1))
}

/// `pool::{Pool, key::Key as Name}` → (pool, Pool), (pool, key, Key)
fn use_tree(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<CodePath>) {
    for branch in tokens.split(|token| is_punct(token, ',')) {
        let mut names = prefix.to_vec();
        let mut line = None;
        let mut has_group = false;
        for token in branch {
            match token {
                TokenTree::Ident(name) if name == "as" => break,
                TokenTree::Ident(name) => {
                    line = line.or(Some(name.span().start().line));
                    names.push(name.to_string());
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    has_group = true;
                    use_tree(&group.stream().into_iter().collect::<Vec<_>>(), &names, found);
                }
                _ => {}
            }
        }
        if let Some(line) = line.filter(|_| !has_group) {
            found.push(CodePath { names, line, is_use: true });
        }
    }
}
