//! Keys that change while buyers buy: read again when their files change.
//!
//! What cannot be used is said once in the log, and the keys from before stay in force. A change is
//! taken when it looks the same twice in a row, so that a file in the middle of being written is not
//! taken for a short key.

use arc_swap::{ArcSwap, Guard};
use seckill_daemon::secret::Source;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{error, info};

/// The bytes of every source, or why one of them cannot be read.
type Contents = Result<Vec<Vec<u8>>, String>;

type Make<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync>;

/// Something that is made out of secrets.
pub(crate) struct Live<T> {
    sources: Vec<(String, Source)>,
    make: Make<T>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

struct Seen {
    /// What was made into something, or could not be.
    tried: Contents,
    /// What was there at the last look, if it was something else.
    settling: Option<Contents>,
}

/// Something that can be asked to look at its sources.
pub(crate) trait Look: Send + Sync {
    /// Takes what is new, once it has settled.
    fn look(&self);
}

// === impl Live ===

impl<T: Send + Sync> Live<T> {
    /// Reads `sources`, each with the key of the configuration that names it, and makes `T` out of
    /// their bytes.
    ///
    /// # Errors
    /// What is wrong, beginning with the key.
    pub(crate) fn load(
        sources: Vec<(String, Source)>,
        make: impl Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let tried = read(&sources);
        let current = make(tried.as_ref().map_err(Clone::clone)?)?;
        Ok(Self {
            sources,
            make: Box::new(make),
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(Seen {
                tried,
                settling: None,
            }),
        })
    }

    /// What is in force.
    pub(crate) fn get(&self) -> Guard<Arc<T>> {
        self.current.load()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.sources.iter().map(|(key, _)| key.as_str()).collect();
        names.join(", ")
    }
}

impl<T: Send + Sync> Look for Live<T> {
    fn look(&self) {
        let contents = read(&self.sources);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if contents == seen.tried {
            seen.settling = None;
            return;
        }
        if seen.settling.as_ref() != Some(&contents) {
            seen.settling = Some(contents);
            return;
        }
        seen.settling = None;
        let made = match &contents {
            Ok(bytes) => (self.make)(bytes),
            Err(reason) => Err(reason.clone()),
        };
        match made {
            Ok(new) => {
                self.current.store(Arc::new(new));
                info!(keys = self.names(), "the keys were read again");
            }
            Err(reason) => error!("{reason}; the keys from before stay in force"),
        }
        seen.tried = contents;
    }
}

fn read(sources: &[(String, Source)]) -> Contents {
    sources
        .iter()
        .map(|(key, source)| source.read().map_err(|reason| format!("{key}: {reason}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Folder(std::path::PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn folder(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("seckill-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn live(path: &std::path::Path) -> Live<String> {
        let sources = vec![("here".to_owned(), Source::File(path.to_owned()))];
        Live::load(sources, |all| {
            let text = String::from_utf8(all.concat()).map_err(|e| e.to_string())?;
            if text.is_empty() {
                return Err("here: empty".to_owned());
            }
            Ok(text)
        })
        .unwrap()
    }

    #[test]
    fn a_change_is_taken_when_it_has_settled() {
        let folder = folder("settle");
        let path = folder.0.join("key");
        fs::write(&path, "one").unwrap();
        let live = live(&path);
        fs::write(&path, "two, the first ha").unwrap();
        live.look();
        assert_eq!(live.get().as_str(), "one");
        fs::write(&path, "two, the first half and the rest").unwrap();
        live.look();
        assert_eq!(live.get().as_str(), "one");
        live.look();
        assert_eq!(live.get().as_str(), "two, the first half and the rest");
    }

    #[test]
    fn what_is_broken_or_gone_leaves_the_old_in_force() {
        let folder = folder("broken");
        let path = folder.0.join("key");
        fs::write(&path, "one").unwrap();
        let live = live(&path);
        fs::write(&path, "").unwrap();
        live.look();
        live.look();
        assert_eq!(live.get().as_str(), "one");
        fs::remove_file(&path).unwrap();
        live.look();
        live.look();
        assert_eq!(live.get().as_str(), "one");
        fs::write(&path, "two").unwrap();
        live.look();
        live.look();
        assert_eq!(live.get().as_str(), "two");
    }
}
