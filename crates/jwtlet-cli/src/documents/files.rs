//! The files that hold documents: those that are named, those of a folder and the folders below it, or standard input.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    error::Error,
    input::{InputError, refuse_token},
};

/// How deep folders are followed. Links to folders are not, so this is no limit for what people write.
const MAX_DEPTH: usize = 16;

/// The files behind what was named, in that order; those of a folder sorted by path, each file once.
pub(super) fn find(named: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in named {
        refuse_token(path)?;
        if path == Path::new("-") || !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        walk(path, 0, &mut inside)?;
        if inside.is_empty() {
            return Err(InputError::EmptyFolder(path.clone()).into());
        }
        inside.sort();
        found.append(&mut inside);
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| seen.insert(path.clone()));
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source: io::Error| Error::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Hidden ones are of editors and version control, or the real files behind the links of a mounted ConfigMap.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if is_folder && depth < MAX_DEPTH {
            walk(&path, depth + 1, found)?;
        } else if is_yaml && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}
