//! `healthCheckNodePort` of Services with `externalTrafficPolicy: Local`: tells who asks whether
//! this node has endpoints, as kube-proxy does (kubernetes, pkg/proxy/healthcheck).
//!
//! Only on a node (`node` in the file): a router that is none has no local endpoints, and nobody
//! asks it. Where kube-proxy runs it has the port already, and answers.

use crate::{Cluster, ObjectKey, Options, lower::is_service_ours};
use k8s_openapi::api::core::v1::Service;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

/// The label that tells which Service a slice belongs to (Kubernetes, EndpointSlice reference).
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Ports that are answered at; those of more Services are not.
const PORTS_MAX: usize = 1_024;

/// Connections to one port at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 32;

/// Bytes of a request's header.
const REQUEST_BYTES_MAX: usize = 8 << 10;

/// How long a connection may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// When a port that another has is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What is told about a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Local {
    service: ObjectKey,
    /// Addresses of ready endpoints on this node.
    endpoint_count: usize,
}

/// What is to be told, by port.
pub(super) fn local(clusters: &[Cluster], options: &Options) -> BTreeMap<u16, Local> {
    let Some(node) = &options.node else { return BTreeMap::new() };
    let mut wanted = BTreeMap::new();
    for cluster in clusters {
        for (key, service) in &cluster.objects.services {
            let Some(port) = port(service, options) else { continue };
            if wanted.len() < PORTS_MAX {
                let local = || Local {
                    service: key.clone(),
                    endpoint_count: endpoints(cluster, key, node),
                };
                wanted.entry(port).or_insert_with(local);
            }
        }
    }
    wanted
}

fn port(service: &Service, options: &Options) -> Option<u16> {
    let spec = service.spec.as_ref().filter(|it| is_service_ours(it, options))?;
    let is_local = spec.external_traffic_policy.as_deref() == Some("Local");
    let port = spec.health_check_node_port.filter(|_| is_local)?;
    u16::try_from(port).ok().filter(|it| *it > 0)
}

fn endpoints(cluster: &Cluster, service: &ObjectKey, node: &str) -> usize {
    let slices = cluster.objects.endpoint_slices.iter().filter(|(key, slice)| {
        let name = slice.metadata.labels.as_ref().and_then(|it| it.get(SERVICE_NAME));
        key.namespace == service.namespace && name == Some(&service.name)
    });
    let endpoints = slices.flat_map(|(_, slice)| slice.endpoints.iter().flatten());
    let is_near = |it: &&k8s_openapi::api::discovery::v1::Endpoint| {
        let ready = it.conditions.as_ref().and_then(|it| it.ready).unwrap_or(true);
        ready && it.node_name.as_deref() == Some(node)
    };
    let addresses: BTreeSet<&String> =
        endpoints.filter(is_near).flat_map(|it| &it.addresses).collect();
    addresses.len()
}

/// Answers at the ports of Services.
#[derive(Debug, Default)]
pub(super) struct Answering {
    ports: BTreeMap<u16, Port>,
}

#[derive(Debug)]
struct Port {
    told: watch::Sender<Local>,
    task: JoinHandle<()>,
}

impl Answering {
    /// Tells this from now on, at no other ports. Must be called within a tokio runtime.
    pub(super) fn tell(&mut self, wanted: BTreeMap<u16, Local>) {
        self.ports.retain(|port, _| wanted.contains_key(port));
        for (number, local) in wanted {
            if let Some(port) = self.ports.get(&number) {
                port.told.send_if_modified(|it| {
                    let is_news = *it != local;
                    it.clone_from(&local);
                    is_news
                });
            } else {
                let (told, given) = watch::channel(local);
                let task = tokio::spawn(answer(number, given));
                self.ports.insert(number, Port { told, task });
            }
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers at a port of all addresses of the host.
async fn answer(port: u16, told: watch::Receiver<Local>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (v6, v4) = (IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::UNSPECIFIED));
    let mut is_told = false;
    loop {
        // One of the two is enough where IPv6 sockets take IPv4, too.
        let (v6, v4) = (bind(v6, port).await, bind(v4, port).await);
        if v6.is_err()
            && let Err(error) = &v4
        {
            if !std::mem::replace(&mut is_told, true) {
                let service = told.borrow().service.to_string();
                tracing::info!(port, service, %error, "another answers at the health check port");
            }
            sleep(RETRY).await;
            continue;
        }
        tokio::join!(accept(v6.ok(), &told, &connections), accept(v4.ok(), &told, &connections));
    }
}

async fn bind(address: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(address, port)).await
}

async fn accept(
    listener: Option<TcpListener>,
    told: &watch::Receiver<Local>,
    connections: &Arc<Semaphore>,
) {
    let Some(listener) = listener else { return };
    loop {
        let Ok(permit) = Arc::clone(connections).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors are left, say.
            sleep(RETRY).await;
            continue;
        };
        let local = told.borrow().clone();
        tokio::spawn(async move {
            // A client that goes away is none of our business.
            timeout(TIMEOUT, serve(stream, &local)).await.ok();
            drop(permit);
        });
    }
}

/// Answers a request, whatever it asks for, and closes.
async fn serve(mut stream: TcpStream, local: &Local) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        let mut part = [0; 1_024];
        let count = stream.read(&mut part).await?;
        request.extend(part.get(..count).unwrap_or_default());
        if count == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
    }
    let is_head = request.starts_with(b"HEAD ");
    stream.write_all(response(local, is_head).as_bytes()).await?;
    stream.shutdown().await
}

fn response(local: &Local, is_head: bool) -> String {
    let Local { service: ObjectKey { namespace, name }, endpoint_count } = local;
    let status = if *endpoint_count > 0 { "200 OK" } else { "503 Service Unavailable" };
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\
         \n\t\"localEndpoints\": {endpoint_count},\n\t\"serviceProxyHealthy\": true\n}}"
    );
    let length = body.len();
    let body = if is_head { "" } else { &body };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n\
         X-Load-Balancing-Endpoint-Weight: {endpoint_count}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Objects;
    use serde_json::json;
    use tokio::net::TcpSocket;

    fn cluster(port: u16, node: &str) -> Cluster {
        let mut objects = Objects::default();
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "a", "name": "x" },
            "spec": { "type": "LoadBalancer", "externalTrafficPolicy": "Local",
                "healthCheckNodePort": port, "ports": [{ "port": 80 }] },
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "namespace": "a", "name": "x-1", "labels": { SERVICE_NAME: "x" } },
            "endpoints": [
                { "addresses": ["10.0.0.1"], "nodeName": node },
                { "addresses": ["10.0.0.2"], "nodeName": node, "conditions": { "ready": false } },
                { "addresses": ["10.0.0.3"], "nodeName": "other" },
            ],
        });
        assert!(objects.insert(service).unwrap() && objects.insert(slice).unwrap());
        Cluster { name: "blue".into(), weight: 100, objects }
    }

    /// A port that nobody else is given as long as this is there; it is bound and does not listen.
    fn reserved() -> (TcpSocket, u16) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        (socket, port)
    }

    async fn ask(port: u16) -> String {
        loop {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
                tokio::task::yield_now().await;
                continue;
            };
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            return text;
        }
    }

    #[tokio::test]
    async fn a_node_with_endpoints_is_healthy_and_one_without_is_not() {
        let options = Options { node: Some("mine".to_owned()), ..Options::default() };
        let (_reserved, port) = reserved();
        let mut answering = Answering::default();
        answering.tell(local(&[cluster(port, "mine")], &options));
        let text = ask(port).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        let body: serde_json::Value =
            serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let wanted = json!({ "service": { "namespace": "a", "name": "x" },
            "localEndpoints": 1, "serviceProxyHealthy": true });
        assert_eq!(body, wanted);
        answering.tell(local(&[cluster(port, "elsewhere")], &options));
        let text = ask(port).await;
        assert!(
            text.starts_with("HTTP/1.1 503 ") && text.contains("\"localEndpoints\": 0"),
            "{text}"
        );
        answering.tell(BTreeMap::new());
        while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_port_that_another_has_is_left_to_it() {
        let other = TcpListener::bind("[::]:0").await.unwrap();
        let port = other.local_addr().unwrap().port();
        let options = Options { node: Some("mine".to_owned()), ..Options::default() };
        let mut answering = Answering::default();
        answering.tell(local(&[cluster(port, "mine")], &options));
        let asked = tokio::spawn(ask(port));
        let (mut stream, _) = other.accept().await.unwrap();
        stream.write_all(b"kube-proxy").await.unwrap();
        drop(stream);
        assert_eq!(asked.await.unwrap(), "kube-proxy");
    }

    #[test]
    fn a_router_that_is_no_node_answers_nowhere() {
        assert!(local(&[cluster(1, "mine")], &Options::default()).is_empty());
    }
}
