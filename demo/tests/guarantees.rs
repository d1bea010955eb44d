//! What docs/guarantees.md says is shown by a test is shown by one.

use std::fs;
use std::path::{Path, PathBuf};

/// A crate's name and that of one of its tests, as the page writes them: `` `worker it_does` ``.
fn named(page: &str) -> Vec<(&str, &str)> {
    let quoted = page.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|words| words.split_once(' '))
        .filter(|(part, test)| {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            test.contains('_') && test.chars().all(is_name) && part.chars().all(is_name)
        })
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_a_guarantee_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/guarantees.md")).unwrap();
    let named = named(&page);
    assert!(named.len() > 30, "the page names its tests: {named:?}");
    for (part, test) in named {
        let mut files = Vec::new();
        for folder in ["tests", "src"] {
            sources(&root.join(part).join(folder), &mut files);
        }
        let declared = format!("fn {test}(");
        let is_there = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(&declared);
        assert!(files.iter().any(is_there), "{part} has no test {test}");
    }
}
