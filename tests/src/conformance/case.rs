//! Which test shows what.

use std::collections::BTreeSet;

use super::{Feature, Profile};

/// A test, and what it shows.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The function that is the test, without its modules.
    pub test: &'static str,
    /// The test of the upstream suite (v1.6.1) that asks for the same; `None` = it has none.
    pub upstream: Option<&'static str>,
    /// Upstream calls its test provisional: whether it passes decides about no profile.
    pub is_provisional: bool,
    /// What it shows, beside that there are Gateways.
    features: &'static [Feature],
}

impl Case {
    /// What a test of the upstream suite asks for.
    pub const fn upstream(
        name: &'static str,
        test: &'static str,
        features: &'static [Feature],
    ) -> Self {
        Self { test, upstream: Some(name), is_provisional: false, features }
    }

    /// What a provisional test of the upstream suite asks for.
    pub const fn provisional(
        name: &'static str,
        test: &'static str,
        features: &'static [Feature],
    ) -> Self {
        Self { is_provisional: true, ..Self::upstream(name, test, features) }
    }

    /// What no test of the upstream suite asks for.
    pub const fn ours(test: &'static str, features: &'static [Feature]) -> Self {
        Self { test, upstream: None, is_provisional: false, features }
    }

    /// All it shows.
    pub fn features(&self) -> BTreeSet<Feature> {
        self.features.iter().copied().chain([Feature::Gateway]).collect()
    }

    /// Whether it is listed as a test of this feature. What is there in most tests (Gateways,
    /// routes of some kind) is shown by those that need nothing else.
    pub fn shows(&self, feature: Feature) -> bool {
        match feature {
            Feature::Gateway => self.features.is_empty(),
            Feature::HTTPRoute
            | Feature::GRPCRoute
            | Feature::TLSRoute
            | Feature::TCPRoute
            | Feature::UDPRoute => self.features == [feature],
            _ => self.features.contains(&feature),
        }
    }

    /// Whether it asks for core features of a profile only.
    pub fn is_core(&self, profile: &Profile) -> bool {
        self.features().iter().all(|it| profile.core().contains(it))
    }

    /// Whether it asks for extended features of a profile.
    pub fn is_extended(&self, profile: &Profile) -> bool {
        let extended = profile.extended();
        let is_of_it = |it: &Feature| profile.core().contains(it) || extended.contains(it);
        self.features().iter().all(is_of_it) && !self.is_core(profile)
    }
}
