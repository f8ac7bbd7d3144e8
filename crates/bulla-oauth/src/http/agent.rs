//! The one that talks to the network: ureq over rustls.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Error, Timeout};
use zeroize::Zeroizing;

use super::{Http, HttpError, MAX_BODY, Request, Response};
use crate::secret::Secret;

/// How long one request may take, from looking the name up to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);
/// Answers of providers are smaller than that.
const USUAL_BODY: usize = 16 << 10;

/// The certificate authorities that are believed: the system's, or those of one file.
#[derive(Clone)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// What the system believes. `SSL_CERT_FILE` and `SSL_CERT_DIR` say so too, as for OpenSSL.
    ///
    /// # Errors
    /// If the system has no certificates, or no clock to check one by.
    pub fn of_system() -> Result<Self, AgentError> {
        check_clock(SystemTime::now())?;
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() { Err(AgentError::NoRoots) } else { Ok(Self(found.certs)) }
    }

    /// The certificates of one PEM file, instead of the system's.
    ///
    /// # Errors
    /// If it cannot be read, or holds no certificate, or if there is no clock to check one by.
    pub fn of_file(path: &Path) -> Result<Self, AgentError> {
        check_clock(SystemTime::now())?;
        let fault = |fact: String| AgentError::Roots { path: path.to_owned(), fact };
        let bytes = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
        let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match certs {
            Ok(certs) if !certs.is_empty() => Ok(Self(certs)),
            _ => Err(fault("it holds no certificate in PEM form".to_owned())),
        }
    }

    /// None at all.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// A client of TLS 1.2 and 1.3 that believes these and checks the name of the server.
    pub(crate) fn client(&self) -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // The system's may hold some that no library reads; the others are what counts.
        roots.add_parsable_certificates(self.0.iter().cloned());
        let config = rustls::ClientConfig::builder_with_provider(crypto())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// No certificate is valid then, and the TLS library knows no such time at all.
fn check_clock(now: SystemTime) -> Result<(), AgentError> {
    if now < UNIX_EPOCH { Err(AgentError::Clock) } else { Ok(()) }
}

fn crypto() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Why there can be no requests.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The system believes no certificate authority.
    #[error("this system has no certificate authorities")]
    NoRoots,
    /// The clock is wrong beyond all certificates.
    #[error("the clock of this machine shows a time before 1970")]
    Clock,
    /// The file of certificates is none.
    #[error("cannot read the certificates in {path}: {fact}", path = path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is the case.
        fact: String,
    },
}

/// Sends requests over the network: `https` only, no redirects, no cookies, each on a connection of
/// its own, at most half a minute and [`MAX_BODY`] bytes. A proxy is taken from `HTTPS_PROXY` and the
/// like.
pub struct Agent(ureq::Agent);

impl Agent {
    /// One that believes `roots`.
    #[must_use]
    pub fn new(roots: &Roots) -> Self {
        let certificates: Vec<_> =
            roots.0.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(certificates)))
            .unversioned_rustls_crypto_provider(crypto())
            .build();
        let config = ureq::Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .max_response_header_size(64 << 10)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("bulla/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .tls_config(tls)
            .build();
        Self(config.new_agent())
    }
}

impl Http for Agent {
    fn send(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let basic = request.basic.as_ref().map(|basic| {
            let text = basic.text().expect("base64 with a word before it");
            let mut value = ureq::http::HeaderValue::from_str(text).expect("it is ASCII");
            value.set_sensitive(true);
            value
        });
        let answer = match &request.form {
            None => self.0.get(request.url).call(),
            Some(form) => {
                let mut post =
                    self.0.post(request.url).content_type("application/x-www-form-urlencoded");
                if let Some(basic) = basic {
                    post = post.header("Authorization", basic);
                }
                post.send(form.expose())
            }
        };
        let mut answer = answer.map_err(|error| fault(&error))?;
        let retry_after = answer.headers().get("Retry-After");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = read(&mut answer.body_mut().as_reader())?;
        Ok(Response { status: answer.status().as_u16(), retry_after, body })
    }
}

/// Reads a body of at most [`MAX_BODY`] bytes into one buffer, which does not move once it holds
/// something: what it would leave behind would not be wiped.
fn read(body: &mut impl Read) -> Result<Secret, HttpError> {
    let mut whole = Zeroizing::new(Vec::with_capacity(USUAL_BODY));
    loop {
        let room = whole.capacity() - whole.len();
        let got = body.take(room as u64).read_to_end(&mut whole);
        let got = got.map_err(|error| HttpError::NoAnswer(fault(&error.into()).to_string()))?;
        if got < room {
            return Ok(Secret::copied_from(&whole));
        }
        if whole.len() >= MAX_BODY {
            return Err(HttpError::NoAnswer("the answer is longer than 1 MiB".to_owned()));
        }
        let mut larger = Zeroizing::new(Vec::with_capacity(2 * whole.capacity()));
        larger.extend_from_slice(&whole);
        whole = larger;
    }
}

/// What went wrong, in words that hold nothing of the request, and whether the server may have got
/// it.
fn fault(error: &Error) -> HttpError {
    use std::io::ErrorKind;
    let not_sent = |what: &str| HttpError::NotSent(what.to_owned());
    let no_answer = |what: &str| HttpError::NoAnswer(what.to_owned());
    match error {
        Error::HostNotFound => not_sent("the name of the server is not known"),
        Error::Timeout(Timeout::Resolve) => not_sent("nobody answered who the server is"),
        Error::Timeout(Timeout::Connect) => not_sent("the server did not take the connection"),
        Error::Timeout(_) => no_answer("the answer did not come in time"),
        Error::ConnectionFailed | Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => {
            not_sent("the server, or the proxy before it, cannot be reached")
        }
        Error::RequireHttpsOnly(_) | Error::BadUri(_) | Error::Http(_) => {
            not_sent("the address is not an https one")
        }
        Error::Rustls(rustls::Error::InvalidCertificate(why)) => not_sent(&certificate(why)),
        Error::Rustls(_) | Error::Tls(_) => no_answer("TLS failed"),
        Error::Io(io) => match io.kind() {
            ErrorKind::ConnectionRefused => not_sent("the connection was refused"),
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
                not_sent("the network does not reach the server")
            }
            // A certificate is looked at before anything is sent. Whatever else goes wrong with TLS may
            // do so in the answer.
            ErrorKind::InvalidData if certificate_fault(io).is_some() => {
                not_sent(&certificate_fault(io).expect("it was just there"))
            }
            ErrorKind::TimedOut => no_answer("the answer did not come in time"),
            _ => no_answer("the connection broke before the answer was there"),
        },
        _ => no_answer("the answer is no HTTP"),
    }
}

fn certificate_fault(error: &std::io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(certificate(why)),
        _ => None,
    }
}

/// What is wrong with a server's certificate, if that is what an error of the system is about.
pub(crate) fn tls_fault(error: &std::io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(certificate(why)),
        other => Some(format!("TLS failed: {other}")),
    }
}

fn certificate(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Why;
    let what = match why {
        Why::Expired | Why::ExpiredContext { .. } => "has expired",
        Why::NotValidYet | Why::NotValidYetContext { .. } => "is not valid yet",
        Why::NotValidForName | Why::NotValidForNameContext { .. } => "is for another name",
        Why::UnknownIssuer => "is of an authority that this system does not know",
        Why::Revoked => "was revoked",
        _ => "is not valid",
    };
    format!("the certificate of the server {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was once an internal error, in the middle of the first connection.
    #[test]
    fn a_clock_before_1970_is_told() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert!(matches!(check_clock(before), Err(AgentError::Clock)));
        assert!(check_clock(UNIX_EPOCH).is_ok() && check_clock(SystemTime::now()).is_ok());
    }

    fn of(error: rustls::Error) -> HttpError {
        fault(&Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
    }

    /// A record of the answer that was broken on the way once counted as a request that was never sent.
    #[test]
    fn a_broken_record_may_have_been_an_answer() {
        assert!(matches!(of(rustls::Error::DecryptError), HttpError::NoAnswer(_)));
        let wrong = rustls::CertificateError::NotValidForName;
        assert!(matches!(of(wrong.into()), HttpError::NotSent(_)));
    }
}
