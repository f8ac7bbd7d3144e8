//! The way to providers and mail servers, made when it is needed: reading the system's certificates
//! takes longer than everything else that a cached token needs.

use std::cell::OnceCell;
use std::path::PathBuf;

use bulla_oauth::{Agent, AgentError, Http, HttpError, Request, Response, Roots};

use crate::failure::{Exit, Failure};

/// The network, with the certificate authorities that are believed on it.
pub(crate) struct Network {
    /// A file of certificates to believe instead of the system's.
    ca: Option<PathBuf>,
    made: OnceCell<(Agent, Roots)>,
}

impl Network {
    pub(crate) fn new(ca: Option<PathBuf>) -> Self {
        Self { ca, made: OnceCell::new() }
    }

    /// Makes it, so that what is wrong with it is told as what it is.
    pub(crate) fn ready(&self) -> Result<&Roots, Failure> {
        self.made().map(|(_, roots)| roots).map_err(|error| {
            let hint = match &error {
                AgentError::Clock => {
                    "set it right first; without the time no certificate is believed"
                }
                AgentError::NoRoots => "install the package ca-certificates, or give --ca FILE",
                AgentError::Roots { .. } => "--ca names a file with certificates in PEM form",
            };
            let code = match &error {
                AgentError::Clock => "clock",
                _ => "certificates",
            };
            Failure::new(Exit::Failed, code, error).hint(hint)
        })
    }

    fn made(&self) -> Result<&(Agent, Roots), AgentError> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let roots = match &self.ca {
            Some(file) => Roots::of_file(file)?,
            None => Roots::of_system()?,
        };
        Ok(self.made.get_or_init(|| (Agent::new(&roots), roots)))
    }
}

impl Http for Network {
    fn send(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        if crate::hold::is_to_end() {
            return Err(HttpError::NotSent("this was interrupted".to_owned()));
        }
        let made = self.made().map_err(|error| HttpError::NotSent(error.to_string()))?;
        made.0.send(request)
    }
}
