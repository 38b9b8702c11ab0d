//! An embedded cloud in which an example was applied already. Most tests begin from one: the apply itself is the subject of few.

use crate::{Bench, Program, example};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

impl Bench {
    /// Puts the cloud that `zkprov apply` makes of an example, with settings as `--set` takes them, in place of the folder's. One
    /// build of `zkprov` makes it once, the tests after the first one get copies.
    ///
    /// # Panics
    /// When the apply fails.
    pub fn apply(&self, name: &str, settings: &[&str]) {
        let file = example(name).join("zkprov.yaml");
        let kept = Kept::of(self.binary(), &fs::read_to_string(&file).unwrap(), settings);
        let made = kept.made(|cloud| {
            let set = settings.iter().map(|setting| format!("--set={setting}"));
            let apply = self.bare("apply --yes").args([format!("--sandbox={}", cloud.display())]).args(set);
            let apply: Program = apply.args(["-f"]).args([&file]);
            let _ = apply.run().exits(0);
        });
        let _ = fs::remove_dir_all(self.cloud());
        copy(&made, &self.cloud());
    }
}

/// Where a cloud is kept for the tests of a build.
struct Kept {
    folder: PathBuf,
    /// Names the build.
    build: String,
    /// Names the cloud among those of the build.
    name: String,
}

impl Kept {
    fn of(binary: &Path, text: &str, settings: &[&str]) -> Self {
        let built = fs::metadata(binary).unwrap();
        let build = format!("{:016x}", hash((built.len(), built.modified().unwrap(), binary)));
        let name = format!("{build}-{:016x}", hash((text, settings)));
        // The binary is in a folder of Cargo's target folder, by its profile.
        let target = binary.ancestors().nth(2).unwrap_or(binary);
        Self { folder: target.join("tmp/applied"), build, name }
    }

    /// The folder of the cloud; `make` is called when there is none yet. Tests that want it at the same time wait for the first.
    fn made(&self, make: impl FnOnce(&Path)) -> PathBuf {
        fs::create_dir_all(&self.folder).unwrap();
        let (made, making) = (self.folder.join(&self.name), self.folder.join(format!("{}.new", self.name)));
        let lock = File::create(self.folder.join(format!("{}.lock", self.name))).unwrap();
        lock.lock().unwrap();
        if !made.exists() {
            self.forget_others();
            let _ = fs::remove_dir_all(&making);
            make(&making);
            fs::rename(&making, &made).unwrap();
        }
        made
    }

    /// Removes what earlier builds have left.
    fn forget_others(&self) {
        for entry in fs::read_dir(&self.folder).unwrap().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&self.build) {
                // A file or a folder; another test may remove it at the same time.
                let _ = fs::remove_file(entry.path());
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
