//! The fixtures: files and the expected documents.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One file and the expected document.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    /// Folder and name; of a truncated file also `@` and its length.
    pub(crate) id: String,
    pub(crate) about: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// Refused, with this code.
    Refused(String),
    /// Accepted, with one of these documents.
    Documents(Vec<Value>),
}

impl Expected {
    fn json(&self) -> Value {
        match self {
            Self::Refused(code) => serde_json::json!({ "refused": code }),
            Self::Documents(all) => serde_json::json!({ "documents": all }),
        }
    }
}

impl Fixture {
    pub(crate) fn folder(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }
}

type Error = Box<dyn std::error::Error>;

/// All fixtures, by name.
pub(crate) fn load(root: &Path) -> Result<Vec<Fixture>, Error> {
    let mut all = Vec::new();
    for folder in sorted(root)? {
        // Format 1 has documents of its own.
        if folder.is_dir() && !folder.ends_with("source") && !folder.ends_with("format-1") {
            load_folder(root, &folder, &mut all)?;
        }
    }
    if all.is_empty() {
        return Err(format!("{}: no fixtures", root.display()).into());
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

fn load_folder(root: &Path, folder: &Path, all: &mut Vec<Fixture>) -> Result<(), Error> {
    for path in sorted(folder)? {
        if path.is_dir() {
            // gold/VERSION: files of producers, by their version.
            load_folder(root, &path, all)?;
        } else if path.extension().is_some_and(|e| e == "json") {
            let id = path.strip_prefix(root)?.with_extension("");
            let id = id.to_string_lossy().replace('\\', "/");
            all.extend(one(&path, &id).map_err(|e| format!("{}: {e}", path.display()))?);
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths = entries.map(|e| Ok(e?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    Ok(paths)
}

fn one(path: &Path, id: &str) -> Result<Vec<Fixture>, Error> {
    let expectation: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let bytes = std::fs::read(path.with_extension("mmst"))?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("a text is missing");
    let about = text(&expectation["about"])?;
    if let Some(ranges) = expectation["truncate"].as_array() {
        let mut all = Vec::new();
        for range in ranges {
            let length = |key: &str| range[key].as_u64().ok_or("a length is missing");
            for length in length("from")?..=length("to")? {
                let expected = Expected::Refused(text(&range["refused"])?);
                let end = usize::try_from(length)?;
                let bytes = bytes.get(..end).ok_or("longer than the file")?.to_vec();
                let (id, about) = (format!("{id}@{length}"), about.clone());
                all.push(Fixture { id, about, bytes, expected });
            }
        }
        return Ok(all);
    }
    if let Some(patches) = expectation["patches"].as_array() {
        let one = |patch: &Value| patched(id, &about, &bytes, &expectation["document"], patch);
        return patches.iter().map(one).collect();
    }
    let id = id.to_owned();
    let expected = if let Some(code) = expectation["refused"].as_str() {
        Expected::Refused(code.to_owned())
    } else if let Some(documents) = expectation["documents"].as_array() {
        Expected::Documents(documents.clone())
    } else if expectation["document"].is_object() {
        Expected::Documents(vec![expectation["document"].clone()])
    } else {
        return Err("neither refused nor a document".into());
    };
    Ok(vec![Fixture { id, about, bytes, expected }])
}

/// A file that differs from another one in some bytes: it is refused, or members and fields of the
/// document differ.
fn patched(
    id: &str,
    about: &str,
    base: &[u8],
    document: &Value,
    patch: &Value,
) -> Result<Fixture, Error> {
    let (mut bytes, mut document) = (base.to_vec(), document.clone());
    for (at, hex) in patch["bytes"].as_object().ok_or("no bytes")? {
        let (at, hex) = (at.parse::<usize>()?, hex.as_str().ok_or("no text")?);
        let pairs = hex.as_bytes().chunks(2).map(std::str::from_utf8);
        for (byte, pair) in bytes.get_mut(at..).ok_or("past the end")?.iter_mut().zip(pairs) {
            *byte = u8::from_str_radix(pair?, 16)?;
        }
    }
    let name = patch["id"].as_str().ok_or("no id")?;
    let (id, about) = (format!("{id}@{name}"), format!("{about}: {name}"));
    if let Some(code) = patch["refused"].as_str() {
        return Ok(Fixture { id, about, bytes, expected: Expected::Refused(code.to_owned()) });
    }
    for (member, value) in patch["document"].as_object().into_iter().flatten() {
        document[member] = value.clone();
    }
    for (index, field) in patch["fields"].as_object().ok_or("no fields")? {
        let place = document["fields"].get_mut(index.parse::<usize>()?);
        *place.ok_or("no such field")? = field.clone();
    }
    Ok(Fixture { id, about, bytes, expected: Expected::Documents(vec![document]) })
}

/// Copies all files, truncated ones too.
pub(crate) fn copy(fixtures: &[Fixture], directory: &Path) -> Result<(), Error> {
    for fixture in fixtures {
        let path = directory.join(format!("{}.mmst", fixture.id));
        let parent = path.parent().ok_or("no directory")?;
        std::fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
        std::fs::write(&path, &fixture.bytes).map_err(|e| format!("{}: {e}", path.display()))?;
        std::fs::write(path.with_extension("json"), format!("{:#}\n", fixture.expected.json()))?;
    }
    println!("{} fixtures in {}", fixtures.len(), directory.display());
    Ok(())
}

/// Bytes and rule (for a patch also those of its base), then the expected document.
pub(crate) fn explain(root: &Path, id: &str) -> Result<String, Error> {
    let all = load(root)?;
    let Some(fixture) = all.iter().find(|fixture| fixture.id == id) else {
        let part = format!("{id}@");
        return Err(match all.iter().filter(|fixture| fixture.id.starts_with(&part)).count() {
            0 => format!("no fixture {id}; `list` names all"),
            n => format!("{id} is {n} fixtures; `list --only '{id}@*'` names them"),
        }
        .into());
    };
    let Some((name, _)) = id.split_once('@') else {
        let expected = std::fs::read_to_string(root.join(format!("{id}.json")))?;
        return Ok(bytes(root, id) + &format!("\nA reader has to say of {id}:\n\n{expected}"));
    };
    let mut text = format!("# {id}: {}\n", fixture.about);
    let base = std::fs::read(root.join(format!("{name}.mmst")))?;
    if fixture.bytes.len() < base.len() {
        text += &format!("The first {} bytes of {name}.\n", fixture.bytes.len());
    }
    let hex = |bytes: &[u8]| {
        let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        pairs.join(" ")
    };
    let differs = |at: &usize| fixture.bytes.get(*at).is_some_and(|now| Some(now) != base.get(*at));
    let mut at = 0;
    while let Some(first) = (at..fixture.bytes.len()).find(differs) {
        at = (first..fixture.bytes.len()).find(|at| !differs(at)).unwrap_or(fixture.bytes.len());
        let part = |bytes: &[u8]| bytes.get(first..at).map(hex).unwrap_or_default();
        text += &format!("{first:04x}  {:<11}  was {}\n", part(&fixture.bytes), part(&base));
    }
    text += &format!("\nThe other bytes are those of {name}:\n\n{}", bytes(root, name));
    Ok(text + &format!("\nA reader has to say of {id}:\n\n{:#}\n", fixture.expected.json()))
}

/// The lines of a file; those of its base too.
fn bytes(root: &Path, name: &str) -> String {
    // Files of producers have no text.
    let text = std::fs::read_to_string(root.join(format!("{name}.hex"))).unwrap_or_else(|_| {
        format!("# {name}: the file of a producer; `mmstats dump {name}.mmst` prints its bytes\n")
    });
    match text.lines().find_map(|line| line.strip_prefix("base ")) {
        None => text,
        Some(base) => {
            let more = "with the lines above over them:\n\n";
            format!("{text}\nThe bytes are those of {base}, {more}{}", bytes(root, base))
        }
    }
}
