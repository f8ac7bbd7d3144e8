//! The kit tested on the store in memory.

mod conforms;
mod faulty;
mod lies;
