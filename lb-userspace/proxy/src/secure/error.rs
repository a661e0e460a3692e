//! Why a client's handshake failed.

use rustls::{AlertDescription, Error, PeerIncompatible};
use std::io;

/// Why a client's handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.name())]
pub enum SecureError {
    /// It took too long.
    Timeout,
    /// The client went away.
    ClientGone,
    /// What came was not TLS.
    NotTls,
    /// The greeting was larger than allowed.
    TooLarge,
    /// No listener serves the server name.
    NameUnknown,
    /// The listener has no certificate that can be used, or none that the client can verify.
    NoCertificate,
    /// Client and listener have no version in common.
    VersionMismatch,
    /// Client and listener have no cipher suite, group or signature scheme in common.
    ParametersMismatch,
    /// Client and listener have no application protocol in common.
    AlpnMismatch,
    /// The client showed no certificate, but must.
    ClientCertificateMissing,
    /// The client's certificate is not accepted.
    ClientCertificateInvalid,
    /// The client does not accept the certificate.
    CertificateRefused,
    /// The client broke off for another reason.
    ClientRefused,
    /// The client broke the protocol's rules.
    Protocol,
}

impl SecureError {
    /// Stable name, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ClientGone => "client_gone",
            Self::NotTls => "not_tls",
            Self::TooLarge => "too_large",
            Self::NameUnknown => "name_unknown",
            Self::NoCertificate => "no_certificate",
            Self::VersionMismatch => "version_mismatch",
            Self::ParametersMismatch => "parameters_mismatch",
            Self::AlpnMismatch => "alpn_mismatch",
            Self::ClientCertificateMissing => "client_certificate_missing",
            Self::ClientCertificateInvalid => "client_certificate_invalid",
            Self::CertificateRefused => "certificate_refused",
            Self::ClientRefused => "client_refused",
            Self::Protocol => "protocol",
        }
    }

    /// What an I/O error of a handshake means.
    pub(super) fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
        inner.map_or(Self::ClientGone, Self::of_tls)
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => Self::NotTls,
            Error::PeerSentOversizedRecord => Self::TooLarge,
            Error::General(_) => Self::NoCertificate,
            Error::NoCertificatesPresented => Self::ClientCertificateMissing,
            Error::InvalidCertificate(_) => Self::ClientCertificateInvalid,
            Error::NoApplicationProtocol => Self::AlpnMismatch,
            Error::PeerIncompatible(why) => Self::of_difference(why),
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            _ => Self::Protocol,
        }
    }

    fn of_difference(why: &PeerIncompatible) -> Self {
        match why {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => Self::VersionMismatch,
            _ => Self::ParametersMismatch,
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA => Self::CertificateRefused,
            AlertDescription::CloseNotify | AlertDescription::UserCanceled => Self::ClientGone,
            _ => Self::ClientRefused,
        }
    }
}
