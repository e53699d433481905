//! The database on disk: written beside the old one and then put in its place, so that there is always a whole one.

use crate::database::Database;
use crate::pool::Pool;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

const FILE: &str = "state.json";
/// How long changes may be lost when the simulator is killed.
const EVERY: Duration = Duration::from_millis(200);

/// The database of an earlier run, if there was one.
pub fn load(state: &Path) -> io::Result<Option<Database>> {
    match File::open(state.join(FILE)) {
        Ok(file) => Ok(Some(serde_json::from_reader(BufReader::new(file))?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes the database as it is now.
pub fn save(state: &Path, database: &Database) -> io::Result<()> {
    let part = state.join("state.json.part");
    let mut file = BufWriter::new(File::create(&part)?);
    serde_json::to_writer(&mut file, database)?;
    file.flush()?;
    fs::rename(&part, state.join(FILE))
}

/// Saves whenever something changed, until the pool stops.
pub fn keep_saving(pool: Arc<Pool>) -> io::Result<JoinHandle<()>> {
    let run = move || {
        let mut saved = 0;
        loop {
            pool.wait(saved, Duration::from_secs(3600));
            let stopping = pool.is_stopping();
            let database = pool.db().clone();
            saved = database.generation();
            if let Err(e) = save(&pool.config.state, &database) {
                eprintln!("xapi-sim: the state cannot be saved in '{}': {e}", pool.config.state.display());
            }
            if stopping {
                return;
            }
            thread::sleep(EVERY);
        }
    };
    thread::Builder::new().name("save".to_owned()).spawn(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn what_was_saved_is_loaded_again() {
        let state = tempfile::tempdir().unwrap();
        assert!(load(state.path()).unwrap().is_none());
        let mut database = Database::default();
        let fields = [("name_label", Value::string("x")), ("virtual_size", Value::Int(i64::MAX))];
        let vdi = database.insert("VDI", fields.map(|(name, value)| (name.to_owned(), value)).into());
        save(state.path(), &database).unwrap();
        let loaded = load(state.path()).unwrap().unwrap();
        assert_eq!(loaded.get("VDI", &vdi).unwrap(), database.get("VDI", &vdi).unwrap());
        assert_eq!(loaded.generation(), database.generation());
    }
}
