//! The folders of src are layers: each imports only from those before it, and imports among files
//! form no circle.
//!
//! Read from the sources: every path that begins with `crate::`, outside comments and unit tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up. Any other folder is an error.
const LAYERS: [&str; 9] = [
    "number", "simd", "sweep", "problem", "solve", "prove", "batch", "op", "cuda",
];

/// A folder of src and a file in it; `mod` is the folder's mod.rs.
type File = (String, String);

/// The program text of a file: no comments, no unit tests, which stand at the end.
fn program_text(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("sources can be read");
    let program = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or("");
    let without_comment = |line: &str| line.split("//").next().unwrap_or("").to_owned();
    program
        .lines()
        .map(without_comment)
        .collect::<Vec<_>>()
        .join("\n")
}

/// All files, with their program text.
fn files() -> BTreeMap<File, String> {
    let src = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(&src).expect("src can be read") {
        let name = entry.expect("folders can be read").file_name();
        let is_layer = LAYERS.iter().any(|&layer| name == *layer);
        assert!(is_layer || name == *"lib.rs", "{name:?} is no layer");
    }
    let mut files = BTreeMap::new();
    for layer in LAYERS {
        for entry in fs::read_dir(src.join(layer)).expect("each layer is a folder") {
            let path = entry.expect("folders can be read").path();
            assert!(path.is_file(), "{path:?}: no folders within layers");
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            files.insert((layer.to_owned(), name), program_text(&path));
        }
    }
    files
}

/// The identifier that a text begins with.
fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The identifiers that may follow `::`: one, or the first of each path in braces.
fn next_identifiers(text: &str) -> Vec<&str> {
    let Some(group) = text.strip_prefix('{') else {
        return vec![identifier(text)];
    };
    let mut depth = 0;
    let mut starts = vec![0];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    let paths = starts.iter().map(|&start| group[start..].trim_start());
    paths.map(identifier).collect()
}

/// The files that a file's text names by a path from the crate's root. A name that is no file's is
/// of an item in the folder's mod.rs, which itself names all files beside it.
fn named_in(of: &File, text: &str, files: &BTreeMap<File, String>) -> BTreeSet<File> {
    let mut named = BTreeSet::new();
    if of.1 == "mod" {
        let beside = files
            .keys()
            .filter(|file| file.0 == of.0 && file.1 != "mod");
        named.extend(beside.cloned());
    }
    for (at, root) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let path = &text[at + root.len()..];
        let folder = identifier(path);
        assert!(LAYERS.contains(&folder), "{folder} is no layer");
        let rest = path[folder.len()..].strip_prefix("::").unwrap_or("");
        for name in next_identifiers(rest) {
            let file = (folder.to_owned(), name.to_owned());
            let of_folder = (folder.to_owned(), "mod".to_owned());
            named.insert(if files.contains_key(&file) {
                file
            } else {
                of_folder
            });
        }
    }
    named
}

fn place(layer: &str) -> usize {
    LAYERS.iter().position(|&one| one == layer).unwrap()
}

#[test]
fn folders_know_only_those_below() {
    let files = files();
    for ((layer, name), text) in &files {
        for (of, other) in named_in(&(layer.clone(), name.clone()), text, &files) {
            assert!(
                place(&of) <= place(layer),
                "{layer}/{name}.rs names {of}/{other}.rs, which is above it"
            );
        }
    }
}

#[test]
fn imports_form_no_circle() {
    let files = files();
    // Files that name none of the files left are taken away, again and again. Those that remain are
    // in a circle, or above one.
    let mut left: BTreeMap<&File, BTreeSet<File>> = files
        .iter()
        .map(|(file, text)| {
            let mut named = named_in(file, text, &files);
            // A macro has to name items of its own file by their full path.
            named.remove(file);
            (file, named)
        })
        .collect();
    loop {
        let names: BTreeSet<File> = left.keys().map(|&file| file.clone()).collect();
        let before = left.len();
        left.retain(|_, named| !named.is_disjoint(&names));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "in a circle, or above one: {left:#?}");
}

#[test]
fn paths_are_written_from_the_root() {
    for ((layer, name), text) in &files() {
        assert!(!text.contains("super::"), "{layer}/{name}.rs");
    }
}

#[test]
fn what_is_read_is_what_is_there() {
    let files: BTreeMap<File, String> = [("simd", "avx2"), ("simd", "mod"), ("sweep", "row")]
        .map(|(folder, name)| ((folder.to_owned(), name.to_owned()), String::new()))
        .into();
    let text =
        "use crate::simd::{avx2::{A, B}, Level};\nlet a = crate::sweep::row::ANY; my_crate::x";
    let file = ("sweep".to_owned(), "paths".to_owned());
    let named: Vec<String> = named_in(&file, text, &files)
        .iter()
        .map(|(folder, name)| format!("{folder}/{name}"))
        .collect();
    assert_eq!(named, ["simd/avx2", "simd/mod", "sweep/row"]);
}
