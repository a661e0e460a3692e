//! Certificates. A problem with one is a warning: the listeners of all the others must go on, and
//! a listener without a usable certificate says so when it runs.

use super::{Context, RELATIVE, names::Taken};
use crate::{
    config::{located::Located, schema},
    model::{Certificate, Secret},
};
use lb_common::limits;
use rustls::{
    InconsistentKeys, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{collections::BTreeMap, sync::Arc};

pub(super) fn all(
    list: &[schema::Certificate],
    cx: &mut Context<'_>,
) -> BTreeMap<String, Certificate> {
    if let Some(first) = list.get(limits::CERTIFICATES_MAX) {
        cx.too_many("certificates", list.len(), limits::CERTIFICATES_MAX, first.name.at);
    }
    let mut taken = Taken::default();
    let mut certificates = BTreeMap::new();
    for file in list {
        let name = taken.take("certificate", &file.name, cx.report);
        let certificate = one(file, cx);
        if let (Some(name), Some(certificate)) = (name, certificate) {
            certificates.insert(name, certificate);
        }
    }
    certificates
}

fn one(file: &schema::Certificate, cx: &mut Context<'_>) -> Option<Certificate> {
    let name = &file.name.value;
    let chain = contents(name, &file.chain, "is left out", cx);
    let key = contents(name, &file.key, "is left out", cx);
    let staple = file.ocsp.as_ref();
    let ocsp = staple.and_then(|path| contents(name, path, "has no OCSP response", cx));
    let (chain, key) = (chain?, key?);
    if let Some((at, why)) = unusable(file, &chain, &key) {
        let hint = "listeners that have no other certificate refuse connections until it is \
                    mended; the files are read again when they change";
        cx.report.warning(at, format!("certificate `{name}` cannot be used: {why}"), hint);
    }
    Some(Certificate {
        chain: chain.to_vec(),
        key: Secret::new(key),
        ocsp: ocsp.map(|ocsp| ocsp.to_vec()),
        origin: file.chain.value.clone(),
    })
}

fn contents(
    name: &str,
    path: &Located<String>,
    consequence: &str,
    cx: &mut Context<'_>,
) -> Option<Arc<[u8]>> {
    match cx.files.read(&path.value) {
        Ok(contents) => Some(contents),
        Err(why) => {
            let message =
                format!("certificate `{name}` {consequence}: cannot read `{}`: {why}", path.value);
            cx.report.warning(path.at, message, RELATIVE);
            None
        }
    }
}

/// Why nobody could use the pair, and where that is said. Never quotes what the files hold.
fn unusable(
    file: &schema::Certificate,
    chain: &[u8],
    key: &[u8],
) -> Option<(crate::config::diagnostic::Position, String)> {
    let in_chain = |why: &str| Some((file.chain.at, format!("`{}` {why}", file.chain.value)));
    let in_key = |why: &str| Some((file.key.at, format!("`{}` {why}", file.key.value)));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let Ok(chain) = chain else { return in_chain("is not PEM") };
    if chain.is_empty() {
        return in_chain("holds no PEM certificate");
    }
    let Ok(key) = PrivateKeyDer::from_pem_slice(key) else {
        return in_key("holds no PEM private key");
    };
    let Ok(key) = aws_lc_rs::default_provider().key_provider.load_private_key(key) else {
        return in_key("holds a key of a kind that is not supported");
    };
    match CertifiedKey::new(chain, key).keys_match() {
        // Unknown: the provider cannot tell; it will at run time.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => None,
        Err(rustls::Error::InconsistentKeys(_)) => {
            in_key("holds another key than the certificate's")
        }
        Err(_) => in_chain("begins with something that is not a certificate"),
    }
}

impl Context<'_> {
    /// Authorities that others' certificates are verified against. Without them nobody could be
    /// told from anybody, so that what is wrong with them is an error.
    pub(super) fn authorities(&mut self, path: &Located<String>) -> Option<Vec<u8>> {
        let contents = self.contents(path)?;
        let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&contents).collect();
        let mut store = RootCertStore::empty();
        let why = match parsed {
            Err(_) => "is not PEM",
            Ok(list) if list.is_empty() => "holds no PEM certificate",
            Ok(list) => {
                if list.into_iter().all(|authority| store.add(authority).is_ok()) {
                    return Some(contents.to_vec());
                }
                "holds something that cannot be an authority"
            }
        };
        let hint = "a file of certificates in PEM, `-----BEGIN CERTIFICATE-----` and so on";
        self.report.error(path.at, format!("`{}` {why}", path.value), hint);
        None
    }
}
