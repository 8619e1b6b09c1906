//! Server with an untrusted certificate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

pub(crate) struct Untrusted {
    port: u16,
    accepted: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Untrusted {
    pub(crate) async fn start() -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![signed.cert.into()], key).unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::<AtomicUsize>::default();
        let count = accepted.clone();
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let socket = socket.into_std().unwrap();
                let mut connection = ServerConnection::new(config.clone()).unwrap();
                spawn_blocking(move || {
                    socket.set_nonblocking(false).unwrap();
                    // The client breaks it off.
                    connection.complete_io(&mut &socket).unwrap_err()
                });
            }
        });
        Self { port, accepted, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Untrusted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
