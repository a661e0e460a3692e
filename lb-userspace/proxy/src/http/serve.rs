//! Which version of HTTP a client speaks.

use super::{Service, h2};
use crate::{
    connection::Connection,
    drain::Drain,
    io::{Io, Prefixed},
};
use lb_model::HttpOptions;
use std::{rc::Rc, sync::Arc};

/// Speaks HTTP with a client until either has had enough.
pub async fn serve<S: Service + 'static>(
    io: Io,
    connection: Rc<Connection>,
    service: Rc<S>,
    options: Arc<HttpOptions>,
    drain: Drain,
) {
    h2::serve(io, connection, service, options, drain).await;
}
