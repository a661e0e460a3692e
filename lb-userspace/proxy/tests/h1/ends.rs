//! How connections of the server end: by the client, by time, by count, by draining.

use crate::harness::{Origin, collect, counting, local, serve, text};
use lb_model::HttpOptions;
use std::{cell::Cell, rc::Rc, time::Duration};
use tokio::sync::Notify;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Sets a flag when it is dropped.
struct OnDrop(Rc<Cell<bool>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[tokio::test]
async fn a_client_that_goes_takes_its_request_with_it() {
    local(async {
        for request in [GET, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc"] {
            let is_dropped = Rc::new(Cell::new(false));
            let flag = Rc::clone(&is_dropped);
            let origin = Origin::new(move |mut request, _| {
                let flag = OnDrop(Rc::clone(&flag));
                async move {
                    let _flag = flag;
                    drop(collect(&mut request.body).await);
                    std::future::pending().await
                }
            });
            let mut served = serve(&origin, HttpOptions::default());
            served.send(request).await;
            tokio::task::yield_now().await;
            assert!(!is_dropped.get());
            drop(served.peer);
            served.task.await.unwrap();
            assert!(is_dropped.get());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn timeouts() {
    local(async {
        let begin = tokio::time::Instant::now();
        // Nothing at all, and nothing more: silence.
        assert_eq!(serve(&counting(Rc::default()), HttpOptions::default()).rest().await, "");
        assert_eq!(begin.elapsed().as_secs(), 10);
        let mut served = serve(&counting(Rc::default()), HttpOptions::default());
        served.send(GET).await;
        let begin = tokio::time::Instant::now();
        assert!(served.rest().await.ends_with("0 bytes\n"));
        assert_eq!(begin.elapsed().as_secs(), 60);
        // A byte now and then does not help.
        let origin = counting(Rc::default());
        let mut served = serve(&origin, HttpOptions::default());
        served.send(GET).await;
        served.until("0 bytes\n").await;
        tokio::time::sleep(Duration::from_secs(50)).await;
        let begin = tokio::time::Instant::now();
        for byte in GET.bytes().take(9) {
            served.send([byte]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(served.until("header_timeout\n").await.starts_with("HTTP/1.1 408 "));
        assert_eq!(begin.elapsed().as_secs(), 10);
        assert_eq!(*origin.refused.borrow(), [lb_proxy::http::Reason::HeaderTimeout]);
        // A body may take longer than that as long as it comes.
        let mut served = serve(&counting(Rc::default()), HttpOptions::default());
        served.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n").await;
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_secs(29)).await;
            served.send("a").await;
        }
        let begin = tokio::time::Instant::now();
        assert!(served.rest().await.starts_with("HTTP/1.1 408 "));
        assert!((30..33).contains(&begin.elapsed().as_secs()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_left() {
    local(async {
        let origin = Origin::new(|_, _| async { text(&"a".repeat(1_000_000)) });
        let mut served = serve(&origin, HttpOptions::default());
        served.send(GET).await;
        let begin = tokio::time::Instant::now();
        (&mut served.task).await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 30);
        assert!(!origin.sent.borrow()[0].is_complete);
    })
    .await;
}

#[tokio::test]
async fn the_last_request_is_told_that_it_is() {
    local(async {
        let options = HttpOptions { requests_max: Some(2), ..HttpOptions::default() };
        let mut served = serve(&counting(Rc::default()), options);
        served.send(GET).await;
        assert!(!served.until("bytes\n").await.contains("connection: "));
        served.send(GET).await;
        assert!(served.rest().await.contains("connection: close\r\n"));
    })
    .await;
}

#[tokio::test]
async fn draining_ends_idle_connections_and_finishes_the_others() {
    local(async {
        let mut served = serve(&counting(Rc::default()), HttpOptions::default());
        served.send(GET).await;
        served.until("bytes\n").await;
        served.drain.start();
        assert_eq!(served.rest().await, "");

        let go = Rc::new(Notify::new());
        let gate = Rc::clone(&go);
        let origin = Origin::new(move |_, _| {
            let gate = Rc::clone(&gate);
            async move {
                gate.notified().await;
                text("ok")
            }
        });
        let mut served = serve(&origin, HttpOptions::default());
        served.send(GET).await;
        tokio::task::yield_now().await;
        served.drain.start();
        go.notify_one();
        let answer = served.rest().await;
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("ok"), "{answer}");

        // A connection that was just opened has its request on the way.
        let mut served = serve(&counting(Rc::default()), HttpOptions::default());
        served.drain.start();
        tokio::task::yield_now().await;
        served.send(GET).await;
        assert!(served.rest().await.contains("connection: close\r\n"));
    })
    .await;
}
