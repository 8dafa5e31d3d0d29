//! Where stubs are written: a file, or a directory.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::files::{self, Destination, Existing};

/// A place that can be written to.
#[derive(Debug)]
pub enum Place {
    /// A file.
    File(File, PathBuf),
    /// A directory.
    Folder(PathBuf, Existing),
}

impl Place {
    /// Opens a file. What is there stays, unless it may be overwritten.
    ///
    /// # Errors
    /// If it cannot be written; the message names it.
    pub fn file(to: &Destination) -> anyhow::Result<Self> {
        Ok(Self::File(files::create(&to.path, to.existing)?, to.path.clone()))
    }

    /// Makes a directory, readable by its owner only. One that is not empty is used only if it may be overwritten; files in it
    /// that are not written stay.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn folder(to: &Destination) -> anyhow::Result<Self> {
        let name = to.path.display();
        files::make_folder(&to.path)?;
        let mut entries = fs::read_dir(&to.path).with_context(|| name.to_string())?;
        ensure!(
            to.existing == Existing::Overwrite || entries.next().is_none(),
            "{name}: it is not empty; choose another directory, or say --overwrite"
        );
        Ok(Self::Folder(to.path.clone(), to.existing))
    }

    /// What it is called: the name of the file up to its first dot.
    pub(super) fn title(&self) -> String {
        let (Self::File(_, path) | Self::Folder(path, _)) = self;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.split('.').next().filter(|name| !name.is_empty()).unwrap_or("API").to_owned()
    }

    /// Writes the file, or one of this name in the directory.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (mut file, path) = match self {
            Self::File(file, path) => (file.try_clone()?, path.clone()),
            Self::Folder(folder, existing) => {
                let path = folder.join(name);
                path.parent().map_or(Ok(()), files::make_folder)?;
                (files::create(&path, *existing)?, path)
            }
        };
        file.write_all(bytes).with_context(|| format!("{}: it takes no more", path.display()))
    }

    /// The same with a file whose name stands for what it holds, so that it is written once.
    pub(super) fn write_shared(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder, _) if folder.join(name).exists() => Ok(()),
            _ => self.write(name, bytes),
        }
    }

    /// The same with JSON, for people to read.
    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = BufWriter::new(Vec::new());
        serde_json::to_writer_pretty(&mut text, value)?;
        text.write_all(b"\n")?;
        self.write(name, &text.into_inner().map_err(|error| error.into_error())?)
    }
}
