//! Stores that do not keep their promises.
//!
//! Both wrap a true store and are cheap to clone. A clone acts on the same state, so a test keeps
//! one and gives the other away:
//!
//! ```
//! use std::sync::Arc;
//!
//! use bulla_testkit::hostile::{HostileStore, Lie};
//! use bulla_vault::store::{MemoryStore, Store, Table};
//!
//! let store = HostileStore::new(Arc::new(MemoryStore::new()));
//! store.tell(Lie::Put { table: Table::Head, key: vec![0], value: b"forged".to_vec() });
//! assert_eq!(store.read().unwrap().get(Table::Head, &[0]).unwrap().unwrap(), b"forged");
//! ```

use std::sync::Arc;

use bulla_vault::store::Store;

mod faulty;
mod liar;

pub use faulty::{FaultyStore, Lasting};
pub use liar::{HostileStore, Lie, Recording};

/// A store that several wrappers and threads may hold at once.
pub type SharedStore = Arc<dyn Store + Send + Sync>;
