//! API servers for tests of what speaks to Kubernetes.
//!
//! [`ApiServer::start`] gives a server of a test's own, with a kubeconfig, a client, and a hand to
//! write objects with: a real kube-apiserver where its binaries are found, else a stand-in in the
//! process of the test.

mod access;
mod bed;
mod crds;
mod hand;
mod objects;
mod pods;
mod real;
mod relay;
mod server;
mod stand_in;

pub use bed::router_lab;
pub use pods::{Pod, PodState};
pub use server::ApiServer;
pub use stand_in::{Faults, Write};
