//! Files: read; and those that we write: opened, locked, appended to, cut, and replaced as a whole.
//!
//! What is said here to be written survives a crash of the machine. Knows nothing of what the files are
//! for, or of who may have written them.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};
use zeroize::Zeroizing;

/// An open file.
pub(crate) type File = std::fs::File;
/// What the system says about a file.
pub(crate) type Metadata = std::fs::Metadata;

/// What the name of a temporary file of ours holds between the target's name and the random part.
const OURS: &str = ".kaltura-app-token-";
const RANDOM_CHARACTERS: usize = 6;
const SUFFIX: &str = ".tmp";

/// How long a pipe may have nothing to read: whoever waits here cannot be interrupted.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_secs(5);

/// The bytes of a file.
///
/// # Errors
/// As [`read_text`], but for the encoding.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    read_bytes(&open(path)?, limit)
}

/// Opens a file to read it. A pipe is not waited for until something of it is read.
///
/// # Errors
/// What the operating system says.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path)
}

/// The text of a file, without the byte order mark that editors on Windows put first.
///
/// # Errors
/// What the operating system says; `FileTooLarge` over `limit` bytes, `TimedOut` when nobody writes into a
/// pipe, `InvalidData` when it is not UTF-8 or holds a NUL, as no text does.
pub(crate) fn read_text(file: &File, limit: usize) -> io::Result<Zeroizing<String>> {
    let not_text = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let bytes = read_bytes(file, limit)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(not_text("it is not UTF-8 but UTF-16"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| not_text("it is not UTF-8"))?;
    if text.contains('\0') {
        return Err(not_text("it holds a NUL character"));
    }
    Ok(Zeroizing::new(
        text.trim_start_matches('\u{feff}').to_owned(),
    ))
}

fn read_bytes(file: &File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // As large as it may become: growing would leave copies behind that are not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    let mut rest = Ready(file).take(limit as u64 + 1);
    rest.read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let what = format!("it is larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// A file that is read when it has something, which all but pipes always have.
struct Ready<'a>(&'a File);

impl io::Read for Ready<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        wait_for_writer(self.0)?;
        self.0.read(buffer)
    }
}

#[cfg(unix)]
fn wait_for_writer(file: &File) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec {
        tv_sec: PATIENCE.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    let ready = poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&limit))?;
    if ready == 0 {
        let what = format!("nothing was written into it within {PATIENCE:?}");
        return Err(io::Error::new(io::ErrorKind::TimedOut, what));
    }
    Ok(())
}

/// Whether what this process prints goes to that file.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::fd::{AsFd as _, BorrowedFd};
        use std::os::unix::fs::MetadataExt as _;
        let leads_there = |descriptor: BorrowedFd<'_>| {
            let open = descriptor.try_clone_to_owned().map(File::from);
            let (open, named) = (
                open.and_then(|file| file.metadata()),
                std::fs::metadata(path),
            );
            matches!((open, named), (Ok(open), Ok(named))
                if (open.dev(), open.ino()) == (named.dev(), named.ino()))
        };
        leads_there(io::stdout().as_fd()) || leads_there(io::stderr().as_fd())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Whether others than its owner may read a file.
pub(crate) fn others_can_read(file: &File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.metadata()
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// Opens a regular file to read it and to append to it; a new one is its owner's alone (mode 0600).
///
/// # Errors
/// What the operating system says, or that it is no regular file. No device is opened to find that out,
/// because opening alone does something to some.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    match std::fs::metadata(path) {
        Ok(metadata) => must_be_a_file(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    must_be_a_file(&file.metadata()?)?;
    sync_directory_of(path)?;
    Ok(file)
}

fn must_be_a_file(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "it is not a regular file",
    ))
}

/// Appends to a file whose whole content so far has `length` bytes. What could not be written whole is
/// cut off again.
///
/// # Errors
/// What the operating system says.
pub(crate) fn append(mut file: &File, length: u64, content: &[u8]) -> io::Result<()> {
    let written = file.write_all(content).and_then(|()| file.sync_data());
    if written.is_err() {
        // What counts is the first error; whoever reads the file passes over a half.
        let _ = cut(file, length);
    }
    written
}

/// Cuts a file to this length.
///
/// # Errors
/// What the operating system says.
pub(crate) fn cut(file: &File, length: u64) -> io::Result<()> {
    file.set_len(length)
}

/// Keeps everybody else off the file until it is closed or unlocked; `false`: somebody else does.
///
/// # Errors
/// What the operating system says.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use rustix::fs::{FlockOperation, flock};
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(false),
            locked => Ok(locked.map(|()| true)?),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(true)
    }
}

/// Lets others lock it, also where a program that is just being started has a copy of it for a moment.
pub(crate) fn unlock(file: &File) {
    #[cfg(unix)]
    let _ = rustix::fs::flock(file, rustix::fs::FlockOperation::Unlock);
    #[cfg(not(unix))]
    let _ = file;
}

/// Whether these lead to the same file, by whatever names. One that is not there is no other.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        identity(one).is_some_and(|one| identity(other) == Some(one))
    }
    #[cfg(not(unix))]
    {
        let real = |path: &Path| path.canonicalize().ok();
        real(one).is_some_and(|one| real(other) == Some(one))
    }
}

/// What stands at a path that is about to be replaced.
#[derive(Debug)]
pub(crate) struct Target {
    /// The file itself, behind a link.
    path: PathBuf,
    /// Of the file that is there.
    metadata: Option<Metadata>,
}

impl Target {
    /// Looks at a file that [`replace`] is to write, which need not be there.
    ///
    /// # Errors
    /// It is not a regular file; it is a symbolic link to another directory, or to nothing: whoever can
    /// plant one would choose what is overwritten.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let refused = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        let is_link = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    path: path.to_owned(),
                    metadata: None,
                });
            }
            metadata => metadata?.is_symlink(),
        };
        let target = if is_link {
            match path.canonicalize() {
                Ok(target) if target.parent() == Some(&directory_of(path).canonicalize()?) => {
                    target
                }
                Ok(_) => return refused("it is a symbolic link to another directory"),
                Err(_) => return refused("it is a symbolic link that leads to no file"),
            }
        } else {
            path.to_owned()
        };
        let metadata = target.metadata()?;
        must_be_a_file(&metadata)?;
        Ok(Self {
            path: target,
            metadata: Some(metadata),
        })
    }
}

/// Replaces a file as a whole: whoever reads it finds the old content or the new, never half of it.
///
/// A file that is there keeps its owner, its group and its mode; a new one is its owner's alone (0600).
/// What killed runs left beside it is removed first.
///
/// # Errors
/// Those of [`Target::at`], that its owner or group cannot be kept, and what the operating system says.
/// The file is then as it was.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let target = Target::at(path)?;
    let name = target
        .path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is not a file's name"))?;
    let prefix = prefix_for(name);
    remove_leftovers(directory_of(&target.path), &prefix);
    // 0600 by default.
    let mut temporary = Builder::new()
        .prefix(&prefix)
        .suffix(SUFFIX)
        .rand_bytes(RANDOM_CHARACTERS)
        .tempfile_in(directory_of(&target.path))?;
    // Nobody else takes it for a leftover.
    try_lock(temporary.as_file())?;
    temporary.write_all(content)?;
    if let Some(metadata) = &target.metadata {
        keep_owner_and_mode(&temporary, metadata)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(&target.path)?;
    sync_directory_of(&target.path)
}

#[cfg(unix)]
fn keep_owner_and_mode(temporary: &NamedTempFile, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let file = temporary.as_file();
    let now = file.metadata()?;
    let differs = |before, now| (before != now).then_some(before);
    let (owner, group) = (
        differs(before.uid(), now.uid()),
        differs(before.gid(), now.gid()),
    );
    if owner.is_some() || group.is_some() {
        fchown(file, owner, group).map_err(|error| {
            let what = format!(
                "its owner {} and its group {} cannot be kept: {error}",
                before.uid(),
                before.gid()
            );
            io::Error::new(error.kind(), what)
        })?;
    }
    file.set_permissions(before.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &NamedTempFile, _: &Metadata) -> io::Result<()> {
    Ok(())
}

fn prefix_for(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(OURS);
    prefix
}

/// Removes temporary files with this prefix that no process holds. Where that fails they stay: they are
/// in nobody's way.
fn remove_leftovers(directory: &Path, prefix: &OsStr) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !is_ours(&entry.file_name(), prefix) {
            continue;
        }
        let path = entry.path();
        let is_held = File::open(&path).is_ok_and(|file| !try_lock(&file).unwrap_or(true));
        if !is_held {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn is_ours(name: &OsStr, prefix: &OsStr) -> bool {
    name.as_encoded_bytes()
        .strip_prefix(prefix.as_encoded_bytes())
        .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()))
        .is_some_and(|random| {
            random.len() == RANDOM_CHARACTERS && random.iter().all(u8::is_ascii_alphanumeric)
        })
}

/// A file without a name, for its owner alone, that holds this and is read from its beginning.
///
/// # Errors
/// What the operating system says.
pub(crate) fn unnamed(content: &[u8]) -> io::Result<File> {
    use std::io::Seek;

    let mut file = tempfile::tempfile()?;
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

fn directory_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes sure that the name of a new file survives a crash, too.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(directory_of(path))?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
