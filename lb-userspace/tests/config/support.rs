//! A folder of files that configurations refer to, made anew for each run: no key is in the
//! repository.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{fs, path::Path};

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters:
  - { name: blue, cluster: { server: \"https://192.0.2.1:6443\" } }
users:
  - { name: lb, user: {} }
contexts:
  - { name: blue, context: { cluster: blue, user: lb } }
  - { name: green, context: { cluster: blue, user: lb } }
current-context: blue
";

/// Fills `folder`:
/// * `tls/ca.pem`; `tls/NAME.pem` and `tls/NAME.key` for each of `names`; `tls/shop.der`
/// * `kube/config`, a kubeconfig with the contexts `blue` (the current one) and `green`
/// * `users`, `pages/down.html`, and files that are none of these: `text`, `empty`
pub(crate) fn fill(folder: &Path, names: &[&str]) {
    let write = |name: &str, contents: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    };
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("tls/ca.pem", &ca.self_signed(&ca_key).unwrap().pem());
    let issuer = Issuer::new(ca, ca_key);
    for name in names {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![format!("{name}.example")]).unwrap();
        write(&format!("tls/{name}.pem"), &params.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("tls/{name}.key"), &key.serialize_pem());
    }
    write("tls/shop.der", "an OCSP response");
    write("pages/down.html", "<h1>Back soon</h1>\n");
    write("kube/config", KUBECONFIG);
    write("text", "hello\n");
    write("empty", "");
    write(
        "users",
        "# comment\n\nalice:{SHA256}XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=\r\n\
         bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\ncarol:{PLAIN}secret\n",
    );
    write(
        "users-of-other-formats",
        "alice:$2y$05$abcdefghijklmnopqrstuuJ1\nbob:{SHA}c2hvcnQ=\nno-colon\ncarol:{PLAIN}hidden\n\
         carol:{PLAIN}hidden\n",
    );
}
