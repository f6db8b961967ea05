//! The shared object itself: what it exports and which libraries it needs.

use std::fs;

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, FileHeader64};
use object::read::elf::ElfFile;
use object::{Endianness, Object, ObjectSymbol};

use crate::{assert_snapshot, library_path};

/// What any program in C++ may need. Which of them a library names depends on compiler and linker.
const SYSTEM_LIBRARIES: [&str; 5] = [
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libstdc++.so.6",
];

/// The title and, below it, the lines in alphabetical order, or "nothing".
fn section(title: &str, mut lines: Vec<String>) -> String {
    lines.sort();
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    format!("{title}\n  {}\n", lines.join("\n  "))
}

#[test]
fn it_exports_nothing_and_needs_little() {
    let bytes = fs::read(library_path()).unwrap();
    let file = ElfFile::<FileHeader64<Endianness>>::parse(&*bytes).unwrap();

    let defined = file
        .dynamic_symbols()
        .filter(|symbol| !symbol.is_undefined());
    let exports = defined.map(|symbol| symbol.name().unwrap().to_owned());

    let entries = file.elf_dynamic_table().unwrap();
    let strings = |tags: &[i64]| -> Vec<String> {
        let entries_with_tag = entries.iter().filter(|entry| tags.contains(&entry.tag));
        let strings = entries_with_tag.map(|entry| entries.string(entry).unwrap());
        strings
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect()
    };
    let mut needs = strings(&[DT_NEEDED]);
    needs.retain(|library| !SYSTEM_LIBRARIES.contains(&library.as_str()));

    let beyond = SYSTEM_LIBRARIES.join(", ");
    let text = [
        section("Exports", exports.collect()),
        section(&format!("Needs, beyond the system's {beyond}"), needs),
        section(
            "Searches for them, beyond where the program does, in",
            strings(&[DT_RPATH, DT_RUNPATH]),
        ),
    ];
    assert_snapshot("library", &text.join("\n"));
}
