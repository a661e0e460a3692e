//! Life of the process: its instance, lock and files, signals, service manager, and the loop that
//! feeds the driver.

mod clock;
mod drains;
mod instance;
mod lock;
mod notify;

pub use clock::wall_ms;
pub use drains::Drains;
pub use instance::{Instance, InvalidName, RUN_DIRECTORY};
pub use lock::{Lock, LockError};
pub use notify::ServiceManager;
