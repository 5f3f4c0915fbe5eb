//! Who may have written a file that decides what is done: a configuration names the server that
//! credentials go to, a journal names tokens that are deleted. Knows nothing of what is in them.
//!
//! The opened file is judged and not its path, so that it cannot be exchanged in between and symbolic
//! links are followed. Elsewhere than on Unix nothing is checked.

use std::path::Path;

use super::disk::File;
#[cfg(unix)]
use crate::error::Error;
use crate::error::Result;

/// Set to `1`, files are used whoever may have written them.
#[cfg(unix)]
const OVERRIDE: &str = "KALTURA_TRUST_FILES";

/// What a file decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steers {
    /// Which tokens are created and deleted.
    Journal,
    /// Whose credentials go to which server.
    Configuration,
}

/// Judges an opened file; `path` is for messages alone. What is returned is worth a warning.
///
/// # Errors
/// `Config` when somebody else than the user, root, or the user who became root by sudo owns the
/// file, when everybody can write to it, and for a journal when a group can.
pub(crate) fn check(file: &File, path: &Path, steers: Steers) -> Result<Option<String>> {
    #[cfg(unix)]
    {
        unix::check(
            file,
            path,
            steers,
            &unix::Process::current(super::environment::variable),
        )
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path, steers);
        Ok(None)
    }
}

#[cfg(unix)]
fn refusal(path: &Path, why: &str, step: &str) -> Error {
    Error::config(format!("{} is not trusted: {why}", path.display()))
        .with_hint(format!("{step}, or set {OVERRIDE}=1 if it is meant"))
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsString;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use super::{OVERRIDE, Steers, refusal};
    use crate::error::{Error, Result};
    use crate::seam::disk::{File, Metadata};

    const ROOT: u32 = 0;
    const WRITABLE_BY_GROUP: u32 = 0o020;
    const WRITABLE_BY_ALL: u32 = 0o002;

    /// A user and the group that the user's files have by default.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct User {
        pub(super) id: u32,
        pub(super) group: u32,
    }

    /// On whose behalf this process runs.
    #[derive(Debug)]
    pub(super) struct Process {
        pub(super) user: User,
        /// Who became root by sudo.
        pub(super) before_sudo: Option<User>,
        pub(super) trusts_all: bool,
    }

    impl Process {
        pub(super) fn current(variable: impl Fn(&str) -> Option<OsString>) -> Self {
            let user = User {
                id: rustix::process::geteuid().as_raw(),
                group: rustix::process::getegid().as_raw(),
            };
            Self::of(user, variable)
        }

        pub(super) fn of(user: User, variable: impl Fn(&str) -> Option<OsString>) -> Self {
            let number = |name: &str| variable(name)?.to_str()?.parse().ok();
            // Anybody can set it; only root's is sudo's.
            let before_sudo = (user.id == ROOT)
                .then(|| {
                    Some(User {
                        id: number("SUDO_UID")?,
                        group: number("SUDO_GID")?,
                    })
                })
                .flatten();
            Self {
                user,
                before_sudo,
                trusts_all: variable(OVERRIDE).is_some_and(|value| value == "1"),
            }
        }

        /// The user of that id, if files of that user's are trusted.
        fn trusted(&self, owner: u32) -> Option<User> {
            let root = User {
                id: ROOT,
                group: ROOT,
            };
            [Some(self.user), Some(root), self.before_sudo]
                .into_iter()
                .flatten()
                .find(|user| user.id == owner)
        }
    }

    pub(super) fn check(
        file: &File,
        path: &Path,
        steers: Steers,
        process: &Process,
    ) -> Result<Option<String>> {
        if process.trusts_all {
            return Ok(None);
        }
        let metadata = file.metadata().map_err(|error| {
            Error::config(format!("{} cannot be examined: {error}", path.display()))
        })?;
        judge(&metadata, path, steers, process)
    }

    fn judge(
        metadata: &Metadata,
        path: &Path,
        steers: Steers,
        process: &Process,
    ) -> Result<Option<String>> {
        let shown = path.display();
        let Some(owner) = process.trusted(metadata.uid()) else {
            let why = format!(
                "it belongs to user {}, and this is user {}",
                metadata.uid(),
                process.user.id
            );
            return Err(refusal(path, &why, "use a file of your own"));
        };
        if metadata.mode() & WRITABLE_BY_ALL != 0 {
            let step = format!("run chmod o-w {shown}");
            return Err(refusal(path, "everybody can write to it", &step));
        }
        if metadata.mode() & WRITABLE_BY_GROUP == 0 {
            return Ok(None);
        }
        let why = format!("group {} can write to it", metadata.gid());
        match steers {
            Steers::Journal => {
                let step = format!("run chmod g-w {shown}");
                Err(refusal(path, &why, &step))
            }
            Steers::Configuration if metadata.gid() == owner.group => Ok(None),
            Steers::Configuration => Ok(Some(format!("{shown}: {why}: chmod g-w {shown}"))),
        }
    }
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown, symlink};
    use std::path::PathBuf;

    use super::unix::{Process, User};
    use super::*;

    const STEERING: [Steers; 2] = [Steers::Journal, Steers::Configuration];

    /// A file of its own for each test, gone with it.
    struct Planted(PathBuf);

    impl Planted {
        fn new(name: &str, mode: u32) -> Self {
            let name = format!("kaltura-trust-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, "{}").unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            Self(path)
        }

        fn file(&self) -> File {
            File::open(&self.0).unwrap()
        }

        fn owner(&self) -> User {
            let metadata = self.file().metadata().unwrap();
            User {
                id: metadata.uid(),
                group: metadata.gid(),
            }
        }

        fn check(&self, steers: Steers, process: &Process) -> Result<Option<String>> {
            unix::check(&self.file(), &self.0, steers, process)
        }
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn run_by(id: u32, group: u32) -> Process {
        Process::of(User { id, group }, |_| None)
    }

    #[test]
    fn a_file_of_ones_own_that_nobody_else_can_write_is_trusted() {
        let own = Planted::new("own", 0o644);
        for steers in STEERING {
            assert_eq!(check(&own.file(), &own.0, steers).unwrap(), None);
        }
    }

    #[test]
    fn a_file_of_somebody_elses_is_refused_and_the_way_out_is_named() {
        let planted = Planted::new("foreign", 0o600);
        // Only root can give files away.
        if chown(&planted.0, Some(4711), None).is_ok() {
            for steers in STEERING {
                let error = check(&planted.file(), &planted.0, steers).unwrap_err();
                assert_eq!(error.kind(), crate::error::ErrorKind::Config);
                assert!(error.message().contains("belongs to user 4711"), "{error}");
                assert!(
                    error
                        .hint()
                        .unwrap()
                        .text()
                        .contains("KALTURA_TRUST_FILES=1")
                );
            }
        }
    }

    #[test]
    fn what_a_symbolic_link_leads_to_is_judged() {
        let planted = Planted::new("target", 0o666);
        let link = planted.0.with_extension("link");
        symlink(&planted.0, &link).unwrap();
        let judged = check(&File::open(&link).unwrap(), &link, Steers::Configuration);
        std::fs::remove_file(&link).unwrap();
        assert!(judged.unwrap_err().message().contains("everybody can"));
    }

    #[test]
    fn roots_files_are_trusted_by_everybody_and_the_sudo_users_by_root() {
        let sudo = |name: &str| match name {
            "SUDO_UID" | "SUDO_GID" => Some("1000".into()),
            _ => None,
        };
        let root = User { id: 0, group: 0 };
        let system_file = File::open("/etc/passwd").unwrap();
        if system_file.metadata().unwrap().uid() == 0 {
            let judged = unix::check(
                &system_file,
                Path::new("/etc/passwd"),
                Steers::Configuration,
                &run_by(1000, 1000),
            );
            assert_eq!(judged.unwrap(), None);
        }
        let planted = Planted::new("sudo", 0o600);
        if chown(&planted.0, Some(1000), Some(1000)).is_ok() {
            let by_sudo = Process::of(root, sudo);
            assert_eq!(planted.check(Steers::Journal, &by_sudo).unwrap(), None);
            assert!(planted.check(Steers::Journal, &run_by(0, 0)).is_err());
            // Without being root, the variable is anybody's.
            let pretending = Process::of(User { id: 1, group: 1 }, sudo);
            assert!(planted.check(Steers::Journal, &pretending).is_err());
        }
    }

    #[test]
    fn what_everybody_can_write_is_refused() {
        for mode in [0o666, 0o622, 0o602] {
            let planted = Planted::new(&format!("everybody-{mode:o}"), mode);
            for steers in STEERING {
                let error = check(&planted.file(), &planted.0, steers).unwrap_err();
                assert!(error.message().contains("everybody can write"), "{error}");
            }
        }
    }

    #[test]
    fn what_a_group_can_write_is_no_journal_and_a_configuration_worth_a_warning() {
        let planted = Planted::new("group", 0o660);
        let owner = planted.owner();
        let in_its_group = run_by(owner.id, owner.group);
        let in_another = run_by(owner.id, owner.group + 1);
        for process in [&in_its_group, &in_another] {
            let error = planted.check(Steers::Journal, process).unwrap_err();
            assert!(error.message().contains("can write to it"), "{error}");
        }
        let warned = |process| planted.check(Steers::Configuration, process).unwrap();
        assert_eq!(warned(&in_its_group), None);
        let warning = warned(&in_another).unwrap();
        assert!(warning.contains("chmod g-w"), "{warning}");
        assert!(!warning.contains('\n'));
    }

    #[test]
    fn the_override_has_to_be_said_exactly() {
        let planted = Planted::new("override", 0o666);
        let owner = planted.owner();
        for (value, trusted) in [("1", true), ("0", false), ("", false), ("yes", false)] {
            let process = Process::of(owner, |name| (name == OVERRIDE).then(|| value.into()));
            for steers in STEERING {
                assert_eq!(planted.check(steers, &process).is_ok(), trusted, "{value}");
            }
        }
    }
}
