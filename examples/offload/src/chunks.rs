//! The input: files, read and cut into chunks.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A part of a file, cheap to send to another thread.
#[derive(Clone)]
pub struct Chunk {
    file: Arc<[u8]>,
    range: Range<usize>,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.file[self.range.clone()]
    }
}

/// What was read.
#[derive(Default)]
pub struct Files {
    count: usize,
    bytes: u64,
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "{} file{plural}, {} KiB", self.count, self.bytes.div_ceil(1024))
    }
}

/// What is read when no file is named, in the directory of siding's own package.
const OWN_SOURCES: [&str; 5] = ["asm", "src", "arch-tests", "benches", "examples"];

/// More than this is surely a mistake: everything is held in memory.
const MOST_BYTES: u64 = 1 << 30;
const MOST_CHUNKS: u64 = 10_000_000;

/// Reads `paths` and cuts each file into chunks of `size` bytes, the last one shorter.
pub fn read(paths: &[PathBuf], size: usize) -> Result<(Files, VecDeque<Chunk>), String> {
    let mut reader = Reader { size, files: Files::default(), chunks: VecDeque::new() };
    if paths.is_empty() {
        for directory in OWN_SOURCES {
            reader.path(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(directory))?;
        }
    }
    for path in paths {
        let empty_before = reader.chunks.len();
        reader.path(path)?;
        if reader.chunks.len() == empty_before {
            return Err(format!("{}: empty, there is nothing to sign", path.display()));
        }
    }
    Ok((reader.files, reader.chunks))
}

struct Reader {
    size: usize,
    files: Files,
    chunks: VecDeque<Chunk>,
}

impl Reader {
    fn path(&mut self, path: &Path) -> Result<(), String> {
        let info = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if info.is_dir() {
            return self.directory(path);
        }
        // A device or a pipe may never end.
        if !info.is_file() {
            return Err(format!("{}: not a file or directory", path.display()));
        }
        self.files.bytes += info.len();
        if self.files.bytes > MOST_BYTES {
            return Err(format!("{}: too much, more than 1 GiB in all", path.display()));
        }
        if self.files.bytes / self.size as u64 > MOST_CHUNKS {
            return Err(format!("{}: more than {MOST_CHUNKS} chunks in all", path.display()));
        }
        self.file(path)
    }

    fn directory(&mut self, path: &Path) -> Result<(), String> {
        let fail = |error| format!("{}: {error}", path.display());
        for entry in fs::read_dir(path).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let kind = entry.file_type().map_err(fail)?;
            // Symbolic links may lead round in circles.
            if kind.is_dir() || kind.is_file() {
                self.path(&entry.path())?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), String> {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file: Arc<[u8]> = bytes.into();
        self.files.count += 1;
        self.chunks.extend((0..file.len()).step_by(self.size).map(|start| {
            let range = start..file.len().min(start + self.size);
            Chunk { file: Arc::clone(&file), range }
        }));
        Ok(())
    }
}
