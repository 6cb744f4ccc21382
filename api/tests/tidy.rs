//! The rules of the house, held by a test: what may depend on what, where SQL
//! may stand, how long a file or a function may be, and that the README's tree
//! is the one on disk.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

/// A crate, and the crates of the house and of I/O that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("engine/core", &[]),
    ("engine/postgres", &["sqlx", "tokio"]),
    ("engine", &["hansom-core", "sqlx", "tokio"]),
    ("workflows", &["hansom-core"]),
    ("activities", &["hansom-core", "hansom-workflows", "reqwest", "sqlx", "tokio"]),
    (
        "api",
        &[
            "axum",
            "hansom-activities",
            "hansom-core",
            "hansom-engine",
            "hansom-postgres",
            "hansom-workflows",
            "reqwest",
            "sqlx",
            "tokio",
        ],
    ),
    ("e2e", &["axum", "hansom", "hansom-activities", "hansom-engine", "hansom-postgres", "tokio"]),
];

/// What an arrow can point at: the crates of the house, and whatever does I/O.
const WATCHED: &[&str] = &[
    "axum",
    "chrono",
    "hansom",
    "hansom-activities",
    "hansom-core",
    "hansom-engine",
    "hansom-postgres",
    "hansom-workflows",
    "rand",
    "reqwest",
    "sqlx",
    "tokio",
    "uuid",
];

/// Crates that tell the time or make things up: for pure crates as bad as I/O.
const IMPURE: &[&str] = &["chrono", "rand", "uuid"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every source file of the house, tests included, by its path from the root.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (crate_path, _) in ARROWS {
        for folder in ["src", "tests", "examples"] {
            collect(&root().join(crate_path).join(folder), &mut found);
        }
    }
    assert!(found.len() > 50, "the house is bigger than this");
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

fn dependencies(manifest: &str) -> Vec<String> {
    let start = manifest.find("[dependencies]").map_or(manifest.len(), |at| at + 14);
    let section = manifest[start..].split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn arrows_point_downward_only() {
    for (path, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(path).join("Cargo.toml")).unwrap();
        let pure = ["engine/core", "workflows"].contains(path);
        for name in dependencies(&manifest) {
            let harmless = !pure && IMPURE.contains(&name.as_str());
            let watched = WATCHED.contains(&name.as_str()) && !harmless;
            assert!(!watched || allowed.contains(&name.as_str()), "{path} depends on {name}");
        }
    }
}

#[test]
fn pure_crates_depend_on_next_to_nothing() {
    for path in ["engine/core", "workflows"] {
        let manifest = fs::read_to_string(root().join(path).join("Cargo.toml")).unwrap();
        for name in dependencies(&manifest) {
            let known = ["hansom-core", "serde", "serde_json", "thiserror"];
            assert!(known.contains(&name.as_str()), "{path} depends on {name}");
        }
    }
}

#[test]
fn sql_stands_only_in_stores_and_migrations() {
    let verbs = ["select ", "insert into ", "update ", "delete from ", "with ", "truncate "];
    for (path, text) in sources() {
        let store = path.contains("/store/") || path.ends_with("/store.rs");
        let own_business = path.starts_with("engine/postgres/") || path.contains("/tests/");
        // What a benchmark creates and drops is a database, not a row.
        if store || own_business {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let lower = line.trim_start().to_lowercase();
            let sql = verbs.iter().any(|verb| lower.starts_with(&format!("\"{verb}")));
            assert!(!sql && !lower.contains("sqlx::query"), "{path}:{}: SQL", number + 1);
        }
    }
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<_> = text.lines().collect();
        if lines.len() > FILE_LINES {
            long.push(format!("{path} has {} lines", lines.len()));
        }
        long.extend(long_functions(&path, &lines));
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// Counts from `fn` to the closing brace at its own indent: rustfmt sees to that.
fn long_functions(path: &str, lines: &[&str]) -> Vec<String> {
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let words = code.split_whitespace().take_while(|word| *word != "fn");
        let heads = ["pub", "async", "const", "pub(crate)", "pub(super)"];
        let is_function = code.contains("fn ") && words.clone().all(|word| heads.contains(&word));
        if !is_function || code.ends_with(';') {
            continue;
        }
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        let end = lines[start..].iter().position(|line| *line == closing).unwrap_or(0);
        if end >= FUNCTION_LINES {
            long.push(format!("{path}:{}: a function of {} lines", start + 1, end + 1));
        }
    }
    long
}

#[test]
fn every_guarantee_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/guarantees.md")).unwrap();
    let sources = sources();
    let exists = |test: &str| sources.iter().any(|(_, text)| text.contains(&format!("fn {test}(")));
    let lines = page.lines().filter(|line| line.starts_with("| ") && !line.ends_with("shown by |"));
    let mut lines_shown = 0;
    for line in lines {
        let shown = line.trim_end_matches('|').rsplit('|').next().unwrap();
        let tests: Vec<_> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "nothing shows this: {line}");
        for test in &tests {
            assert!(exists(test), "`{test}` is not there any more");
        }
        lines_shown += 1;
    }
    assert!(lines_shown > 20, "{lines_shown} guarantees");
}

#[test]
fn the_readme_draws_the_house_as_it_is() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let drawn: Vec<_> = readme
        .lines()
        .skip_while(|line| !line.starts_with("Cargo.toml "))
        .take_while(|line| !line.starts_with("```"))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    assert!(drawn.len() >= 8, "the README has a tree: {drawn:?}");
    for name in &drawn {
        assert!(root().join(name).exists(), "the README draws `{name}`, which is not there");
    }
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let settings = Path::new(&name).extension().is_some_and(|extension| extension == "toml");
        let plain = !name.starts_with('.') && name != "target" && !settings;
        let known = drawn.iter().any(|line| line.trim_end_matches('/') == name);
        assert!(!plain || known || name == "Cargo.lock", "the README does not draw `{name}`");
    }
}
