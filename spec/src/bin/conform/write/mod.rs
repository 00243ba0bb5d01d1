//! Runs a writer over descriptions: the documents of two readers and the bytes of the file must be
//! those of the description. CONFORMANCE.md section 4.

mod bytes;
mod cases;
mod cells;
mod description;
mod histogram;
mod image;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use globset::GlobSet;
use serde_json::{Value, json};

use crate::compare::difference;
use crate::run::{command, wait};
use cases::{Case, Wanted, cases};
use description::Field;

const LIMIT: Duration = Duration::from_secs(5);

/// Content of a file that has the name already.
const TAKEN: &[u8] = b"another file";

/// Which descriptions, and where they are written.
#[derive(Debug)]
pub(crate) struct Selection {
    /// The highest level.
    pub(crate) level: u8,
    /// Names of descriptions; all if it is empty.
    pub(crate) only: GlobSet,
    /// A directory that keeps descriptions and files.
    pub(crate) keep: Option<PathBuf>,
}

/// Whether the writer is right.
pub(crate) fn write(
    writer: &str,
    readers: &[String],
    selection: &Selection,
) -> Result<bool, Box<dyn std::error::Error>> {
    let ours = std::env::current_exe()?.with_file_name("conform-reader");
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/readers/python/conform_reader.py");
    let defaults = [ours.display().to_string(), format!("python3 {python}")];
    let readers = if readers.is_empty() { &defaults[..] } else { readers };
    if readers.len() < 2 {
        return Err("one reader alone proves nothing: name two".into());
    }
    let mut chosen = cases(selection.level);
    chosen.retain(|case| selection.only.is_empty() || selection.only.is_match(case.name));
    if chosen.is_empty() {
        return Err("no description matches".into());
    }
    let temporary = tempfile::tempdir()?;
    let directory = selection.keep.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let (mut passed, mut failed, mut skipped) = (0, 0, Vec::new());
    // Each instance, and the description of its file.
    let mut instances: BTreeMap<Vec<u8>, &str> = BTreeMap::new();
    for case in &chosen {
        let name = case.name.replace(' ', "-");
        let description = directory.join(format!("{name}.txt"));
        let file = directory.join(format!("{name}.mmst"));
        std::fs::write(&description, &case.lines)?;
        // One that an earlier run has kept.
        let _ = std::fs::remove_file(&file);
        let mut problems = match run(writer, case, &description, &file)? {
            Ended::Right => Vec::new(),
            Ended::Written => judge(readers, &case.fields, &file),
            Ended::Skipped => {
                skipped.push(case.name);
                continue;
            }
            Ended::Wrong(why) => vec![why],
        };
        if case.wanted == Wanted::File
            && let Some(instance) =
                std::fs::read(&file).ok().and_then(|b| Some(b.get(32..48)?.to_vec()))
            && let Some(other) = instances.insert(instance, case.name)
        {
            problems.push(format!(
                "instance: that of {other:?} too; it is not random (FORMAT.md section 3)"
            ));
        }
        if problems.is_empty() {
            passed += 1;
        } else {
            println!("FAILED {}: {}", case.name, problems.join("; "));
            failed += 1;
        }
    }
    if !skipped.is_empty() {
        println!("not supported: {}", skipped.join(", "));
    }
    println!("{passed} passed, {failed} failed, {} skipped", skipped.len());
    Ok(failed == 0 && passed > 0)
}

/// How a writer ended.
enum Ended {
    /// Without a file, as it should be.
    Right,
    /// With a file, as it should be.
    Written,
    Skipped,
    Wrong(String),
}

/// Runs the writer. An error if it does not start.
fn run(writer: &str, case: &Case, description: &Path, file: &Path) -> Result<Ended, String> {
    if case.wanted == Wanted::Kept {
        std::fs::write(file, TAKEN).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let child = Command::new("sh")
        .args(["-c", &format!("exec {writer} \"$1\" \"$2\""), "sh"])
        .args([description, file])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| e.to_string())?;
    let (status, _, err) = match wait(&mut child, LIMIT) {
        Ok(ended) => ended,
        Err(why) => return Ok(Ended::Wrong(why)),
    };
    let said = String::from_utf8_lossy(&err).lines().last().unwrap_or_default().to_owned();
    let left = match std::fs::read(file) {
        Err(_) => "no file",
        Ok(bytes) if case.wanted == Wanted::Kept && bytes == TAKEN => "the file that was there",
        Ok(_) => "a file",
    };
    let (code, kept) = match case.wanted {
        Wanted::File => (0, "a file"),
        Wanted::Refusal => (1, "no file"),
        Wanted::NotSupported => (2, "no file"),
        Wanted::Kept => (1, "the file that was there"),
    };
    Ok(match status.code() {
        Some(126 | 127) => return Err(format!("the writer does not start: {said}")),
        Some(found) if found == code && left == kept => {
            if code == 0 {
                Ended::Written
            } else {
                Ended::Right
            }
        }
        // Not of level 1, which every writer has.
        Some(2) if case.level > 1 && left != "a file" => Ended::Skipped,
        _ => Ended::Wrong(format!(
            "{status} and {left}, not exit status: {code} and {kept} (it said: {said})"
        )),
    })
}

/// What is wrong with a file.
fn judge(readers: &[String], fields: &[Field], file: &Path) -> Vec<String> {
    let is_file = |metadata: std::fs::Metadata| metadata.is_file();
    if !std::fs::symlink_metadata(file).is_ok_and(is_file) {
        return vec!["file: it is no regular file".to_owned()];
    }
    let documents: Vec<Value> = fields.iter().map(Field::document).collect();
    let wanted =
        json!({ "format": "3.0", "state": "closed", "lanes": ["owned"], "fields": documents });
    let mut problems: Vec<String> = Vec::new();
    let mut is_damaged = false;
    for reader in readers {
        let got = match ask(reader, file) {
            Ok(got) => got,
            // A refused image has no bytes whose place is known.
            Err(why) => return vec![format!("{reader}: {why}")],
        };
        // A damaged field may have its strings or its cell anywhere.
        let fields = got["fields"].as_array().map_or(&[][..], Vec::as_slice);
        is_damaged |= fields.iter().any(|field| field.get("damaged").is_some());
        if let Some(why) = difference(&wanted, &got, true)
            // Once, if readers agree.
            && !problems.iter().any(|known| known.ends_with(&why))
        {
            problems.push(format!("{reader}: {why}"));
        }
    }
    match std::fs::read(file) {
        Ok(image) if !is_damaged => problems.extend(bytes::check(&image, fields)),
        Ok(_) => {}
        Err(error) => problems.push(error.to_string()),
    }
    problems
}

/// The document of a reader.
fn ask(reader: &str, file: &Path) -> Result<Value, String> {
    let mut command = command(reader, "", file);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let (status, out, _) = wait(&mut child.map_err(|e| e.to_string())?, LIMIT)?;
    if !status.success() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&out).trim()));
    }
    serde_json::from_slice(&out).map_err(|e| e.to_string())
}
